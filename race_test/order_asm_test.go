package race_test

import (
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestOrderOfTheInstructions checks that the compiler generates the instructions
// that the page lists for each row. If a new release of Go generates others, check
// that they are right and change the page.
func TestOrderOfTheInstructions(t *testing.T) {
	if testkit.Race {
		t.Skip("it compiles packages without the race detector, and runs nothing of them")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not on the PATH: ", err)
	}
	rows := orderRows(t)
	for _, arch := range []string{"arm64", "amd64"} {
		for _, dir := range sharing {
			t.Run(arch+"/"+filepath.Base(dir), func(t *testing.T) {
				s := parseShared(t, dir, arch, rows)
				code := disassemble(t, tool, dir, arch)
				for _, r := range s.rows {
					s.compare(t, r, code)
				}
			})
		}
	}
}

// compare requires a row's instructions at each of its places. Plain loads are
// required at one place only, because the compiler keeps what it has loaded. A row
// without other instructions must have none.
func (s *source) compare(t *testing.T, r row, code []instruction) {
	t.Helper()
	places := s.occurrences(r)
	require.NotEmpty(t, places, "%s says that %s has %s", orderPage, r.where, r.code)
	var all []instruction
	for _, n := range places {
		there := s.at(r, n, code)
		for _, want := range slices.DeleteFunc(slices.Clone(r.instructions), plain) {
			require.True(t, has(there, want), "%s: %s has no %s on %s, but %v", s.fset.Position(n.Pos()), r.code, want, r.arch, there)
		}
		all = append(all, there...)
	}
	for _, want := range r.instructions {
		require.True(t, has(all, want), "%s: %s: %s has no %s on %s, but %v", s.fset.Position(places[0].Pos()), r.where, r.code, want, r.arch, all)
	}
	if !slices.ContainsFunc(r.instructions, func(name string) bool { return !plain(name) }) {
		require.False(t, slices.ContainsFunc(all, func(i instruction) bool { return !plain(i.text) }), "%s: %s is more than plain on %s: %v", r.where, r.code, r.arch, all)
	}
}

func has(code []instruction, name string) bool {
	return slices.ContainsFunc(code, func(i instruction) bool { return i.is(name) })
}

// plain reports whether an instruction orders no memory accesses.
func plain(name string) bool { return !ordered.MatchString(name) }

var ordered = regexp.MustCompile(`^(LDA|STL|LOCK|XCHG)`)

// at returns a function's instructions at the lines of a node. For storeRelease,
// which is inlined, these are its own lines.
func (s *source) at(r row, n ast.Node, code []instruction) (there []instruction) {
	if strings.HasPrefix(r.code, "storeRelease(") {
		n = s.funcs[s.name+".storeRelease"].Body
	}
	from, to := s.fset.Position(n.Pos()), s.fset.Position(n.End())
	for _, i := range code {
		if i.file == filepath.Base(from.Filename) && from.Line <= i.line && i.line <= to.Line && i.in(r.where) {
			there = append(there, i)
		}
	}
	return there
}

// An instruction is a line of a disassembly.
type instruction struct {
	symbol, file string
	line         int
	code         uint32
	text         string
}

func (i instruction) String() string { return i.text }

// is reports whether an instruction has that name. It decodes one that the
// disassembler does not know.
func (i instruction) is(name string) bool {
	if name == "LDADDALW" && i.code&0xffe0fc00 == 0xb8e00000 {
		return true
	}
	return strings.HasPrefix(i.text, name+" ")
}

// in reports whether an instruction is of that function or of a function literal in
// it.
func (i instruction) in(where string) bool {
	_, where, _ = strings.Cut(where, ".")
	_, rest, ok := strings.Cut(i.symbol, "."+where)
	return ok && (rest == "" || strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "-"))
}

var (
	symbolLine      = regexp.MustCompile(`^TEXT (\S+)\(SB\)`)
	instructionLine = regexp.MustCompile(`^\s+(\S+\.go):(\d+)\s+0x[0-9a-f]+\s+([0-9a-f]+)\s+(.+)$`)
)

// disassemble compiles a package for Linux on arch, for the oldest processors that
// Go supports.
func disassemble(t *testing.T, tool, dir, arch string) (code []instruction) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "package.a")
	build := exec.Command(tool, "build", "-o", archive, "./"+dir)
	build.Dir = ".."
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOARM64=v8.0", "GOAMD64=v1", "CGO_ENABLED=0", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	list, err := exec.Command(tool, "tool", "objdump", archive).Output()
	require.NoError(t, err)
	symbol := ""
	for line := range strings.SplitSeq(string(list), "\n") {
		if m := symbolLine.FindStringSubmatch(line); m != nil {
			symbol = m[1]
		} else if m := instructionLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[2])
			hex, _ := strconv.ParseUint(m[3], 16, 32) // on amd64 it is longer, and not needed
			code = append(code, instruction{symbol, m[1], n, uint32(hex), strings.TrimSpace(m[4])})
		}
	}
	require.NotEmpty(t, code)
	return code
}

// TestChanWakeLoadsFence: on arm64 an acquire precedes the send of wake.Chan, so the look
// at the buffer cannot come before the write that made the waiter's condition true. No
// test on another processor can show that.
func TestChanWakeLoadsFence(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not on the PATH: ", err)
	}
	code := slices.DeleteFunc(disassemble(t, tool, "wake", "arm64"), func(i instruction) bool { return !i.in("wake.Chan.Wake") })
	acquire := slices.IndexFunc(code, func(i instruction) bool { return i.is("LDARW") })
	send := slices.IndexFunc(code, func(i instruction) bool { return strings.HasPrefix(i.text, "CALL") })
	require.NotEqual(t, -1, acquire, "%v", code)
	require.Less(t, acquire, send, "%v", code)
}
