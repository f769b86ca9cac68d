// Package race_test holds tests of the module as a whole.
package race_test

import (
	"encoding/json"
	"errors"
	"go/build/constraint"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/vigil-go/vigil"

// arrows is the diagram in docs/architecture.md: what a package may import, of this
// module and of others, in addition to the standard library. Every package must be
// named; "..." stands for all folders below.
var arrows = map[string][]string{
	"internal/schedpoint": {},
	"internal/choice":     {},
	"wake":                {"internal/choice", "internal/schedpoint"},
	"internal/waitq":      {"wake", "internal/choice", "internal/schedpoint"},
	"internal/load":       {"wake", "internal/waitq"},
	"internal/striped":    {},
	"internal/monotime":   {},
	"internal/lineplot":   {},
	"internal/cli":        {}, // only examples and demos import it
	"waitmap":             {"wake", "internal/waitq", "internal/choice", "internal/schedpoint", "internal/striped", "internal/monotime"},
	"waitgroup":           {"wake", "internal/waitq", "internal/choice", "internal/schedpoint"},
	"notify":              {"wake", "internal/waitq", "internal/choice", "internal/schedpoint"},
	"dedup":               {"waitmap", "wake", "internal/load", "internal/waitq", "internal/schedpoint", "internal/striped", "internal/monotime", "dedup/internal/store"},
	"await":               {"wake", "internal/load", "internal/waitq", "internal/choice", "internal/schedpoint", "internal/monotime"},
	"uringwake/ring":      {"golang.org/x/sys/unix"},
	"uringwake":           {"wake", "internal/waitq", "internal/schedpoint", "internal/monotime", "uringwake/ring", "uringwake/internal/bridge", "golang.org/x/sys/unix"},
	"uringwake/uringnet":  {"wake", "await", "internal/waitq", "internal/schedpoint", "uringwake", "uringwake/ring", "uringwake/internal/bridge", "golang.org/x/sys/unix"},
	"examples/...":        nil, // nil: any package of this module
	"race_test":           nil,
	"race_test/...":       nil,

	"race_test/kernels/probe": {"uringwake", "uringwake/ring", "golang.org/x/sys/unix"},

	"dedup/internal/store": {"waitmap", "github.com/maypok86/otter/v2"},

	"uringwake/internal/bridge": {"wake", "uringwake/ring"},
	"uringwake/uringfs":         {"await", "internal/waitq", "uringwake", "uringwake/internal/bridge", "uringwake/ring", "wake", "golang.org/x/sys/unix"},
	"uringwake/internal/refuse": {"golang.org/x/sys/unix"}, // only tests import it
	"internal/misbehave":        {"wake"},                  // only tests import it
	"internal/testkit":          {"go.uber.org/goleak"},    // only tests import it

	"vigildebug":          {"await", "dedup", "waitmap", "notify", "waitgroup", "uringwake", "internal/lineplot"},
	"vigildebug/vigilvar": {"vigildebug"},

	"httpcache":                  {"dedup", "notify", "waitgroup", "httpcache/internal/rfc9111"},
	"httpcache/internal/rfc9111": {},
	"httpcache/diskstore":        {"go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"},
}

// forTests is what tests may import in addition to the module.
var forTests = []string{"github.com/stretchr/testify/", "go.uber.org/goleak", "github.com/cornelk/hashmap", "github.com/anishathalye/porcupine", "golang.org/x/sys/unix"}

// A pkg has the fields of `go list -json` that the tests use.
type pkg struct {
	Dir, ImportPath                    string
	Imports, TestImports, XTestImports []string
}

// name returns the package's path within the module.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func list(t *testing.T) []pkg {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not on the PATH: ", err)
	}
	cmd := exec.Command(tool, "list", "-json", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if bad, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("go list: %v: %s", err, bad.Stderr)
	}
	require.NoError(t, err)
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// allowed returns what the package of that name may import. It reports false if the
// package is not in the diagram.
func allowed(name string) ([]string, bool) {
	if may, ok := arrows[name]; ok {
		return may, true
	}
	for prefix := range maps.Keys(arrows) {
		if below, ok := strings.CutSuffix(prefix, "..."); ok && strings.HasPrefix(name, below) {
			return arrows[prefix], true
		}
	}
	return nil, false
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// mayImport reports whether the diagram allows an import of a package's own code.
func mayImport(may []string, path string) bool {
	if isStandard(path) {
		return true
	}
	inner, ours := strings.CutPrefix(path, module+"/")
	if may == nil {
		return ours
	}
	return slices.Contains(may, inner) || !ours && slices.Contains(may, path)
}

// TestArrows checks that the diagram allows every import.
func TestArrows(t *testing.T) {
	pkgs := list(t)
	names := make(map[string]bool)
	for _, p := range pkgs {
		names[p.name()] = true
		may, known := allowed(p.name())
		if !known {
			t.Errorf("%s is not in the diagram: draw it in docs/architecture.md and here", p.name())
			continue
		}
		for _, path := range p.Imports {
			if !mayImport(may, path) {
				t.Errorf("%s must not import %s", p.name(), path)
			}
		}
	}
	for _, name := range []string{"wake", "internal/waitq", "waitmap"} {
		require.True(t, names[name], "%s was not looked at", name)
	}
}

// TestArrowsOfTests checks that tests import only the tested code, what that may import, and
// the test libraries.
func TestArrowsOfTests(t *testing.T) {
	for _, p := range list(t) {
		may, _ := allowed(p.name())
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			ok := isStandard(path) || strings.HasPrefix(path, module+"/") || slices.Contains(may, path) ||
				slices.ContainsFunc(forTests, func(lib string) bool { return strings.HasPrefix(path, lib) })
			if !ok {
				t.Errorf("the tests of %s must not import %s", p.name(), path)
			}
		}
	}
}

// systemName matches the end of the name of a file that is built on some systems
// only.
var systemName = regexp.MustCompile(`_(linux|darwin|windows|freebsd|netbsd|openbsd|js|wasip1|plan9|amd64|arm64|arm|386|riscv64|s390x|wasm)(_test)?\.go$`)

// TestNoSystemSpecificFiles checks that all packages outside of uringwake, and outside
// of the tests of the kernel, have the same code on every system. Build tags may only
// name the race detector, vigil_debug and vigil_schedpoint, and in httpcache/diskstore wasm,
// for which bbolt does not build.
func TestNoSystemSpecificFiles(t *testing.T) {
	for _, p := range list(t) {
		if p.name() == "uringwake" || strings.HasPrefix(p.name(), "uringwake/") ||
			p.name() == "race_test/faults" || p.name() == "race_test/kernels/probe" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*"))
		require.NoError(t, err)
		for _, file := range files {
			switch filepath.Ext(file) {
			case ".go":
				require.False(t, systemName.MatchString(file), file)
				for _, tag := range tagsOf(t, file) {
					known := tag == "wasm" && p.name() == "httpcache/diskstore"
					require.True(t, known || slices.Contains([]string{"race", "vigil_debug", "vigil_schedpoint"}, tag), file)
				}
			case ".c", ".h", ".s", ".S", ".syso":
				t.Errorf("%s: no cgo, no assembly", file)
			}
		}
		require.NotContains(t, p.Imports, "C", p.name())
	}
}

// tagsOf returns the tags in a file's build constraint.
func tagsOf(t *testing.T, file string) (tags []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "package ") {
			break
		}
		if !constraint.IsGoBuild(line) {
			continue
		}
		expr, err := constraint.Parse(strings.TrimSpace(line))
		require.NoError(t, err, file)
		expr.Eval(func(tag string) bool { tags = append(tags, tag); return true })
	}
	return tags
}
