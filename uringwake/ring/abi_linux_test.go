package ring

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// headers are all that the constants and structs come from.
const headers = `#include <stddef.h>
#include <stdio.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#if __has_include(<linux/blkdev.h>)
#include <linux/blkdev.h>
#endif
#if __has_include(<linux/io_uring/query.h>)
#include <linux/io_uring/query.h>
#endif
`

// A compiler knows the installed header.
type compiler struct {
	path  string
	words map[string]bool // of the header, with its macros
}

var identifier = regexp.MustCompile(`\w+`)

// findCompiler skips, with the reason, if there is no compiler or no header.
func findCompiler(t *testing.T) *compiler {
	t.Helper()
	path, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler:", err)
	}
	cmd := exec.Command(path, "-E", "-dD", "-")
	cmd.Stdin = strings.NewReader(headers)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		t.Skipf("no kernel headers: %v: %s", err, exit.Stderr)
	}
	c := &compiler{path: path, words: map[string]bool{}}
	for _, w := range identifier.FindAllString(string(out), -1) {
		c.words[w] = true
	}
	return c
}

// has reports whether the header has all the names in an expression.
func (c *compiler) has(expression string) bool {
	for _, w := range identifier.FindAllString(expression, -1) {
		if w != "sizeof" && !c.words[w] {
			return false
		}
	}
	return true
}

// values compiles a program that evaluates the expressions.
func (c *compiler) values(t *testing.T, expressions []string) []int64 {
	t.Helper()
	var source strings.Builder
	source.WriteString(headers + "int main(void) {\n")
	for _, e := range expressions {
		fmt.Fprintf(&source, "\tprintf(\"%%lld\\n\", (long long)(%s));\n", e)
	}
	source.WriteString("\treturn 0;\n}\n")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "abi.c"), filepath.Join(dir, "abi")
	require.NoError(t, os.WriteFile(file, []byte(source.String()), 0o600))
	out, err := exec.Command(c.path, "-o", program, file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command(program).Output()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("cannot run a program from the temporary directory:", err)
	}
	require.NoError(t, err)
	values := make([]int64, len(expressions))
	for i, line := range strings.Fields(string(out)) {
		_, err := fmt.Sscan(line, &values[i])
		require.NoError(t, err)
	}
	return values
}

func TestConstantsAreThoseOfTheHeader(t *testing.T) {
	c := findCompiler(t)
	var names []string
	want := map[string]int64{}
	for _, row := range abi {
		if c.has(row.c) {
			names = append(names, row.c)
			want[row.c] = row.value
		}
	}
	for i, v := range c.values(t, names) {
		// Masks with the highest bit are signed in one language only.
		require.Equal(t, uint32(want[names[i]]), uint32(v), names[i])
		require.LessOrEqual(t, v, int64(1<<32-1), names[i])
	}
	t.Logf("compared %d of %d names: the installed header has no more", len(names), len(abi))
	require.NotEmpty(t, names)
}

// Every constant of the ABI files is in the table, once.
func TestTableHasEveryConstant(t *testing.T) {
	rows := map[string]int{}
	cNames := map[string]int{}
	for _, row := range abi {
		rows[row.name]++
		cNames[row.c]++
		require.Equal(t, 1, rows[row.name], row.name)
		require.Equal(t, 1, cNames[row.c], row.c)
	}
	for _, file := range []string{"abi_linux.go", "abi_ops_linux.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			for _, name := range constants(d) {
				require.Equal(t, 1, rows[name], "%s of %s", name, file)
			}
		}
	}
}

func constants(d ast.Decl) (names []string) {
	decl, ok := d.(*ast.GenDecl)
	if !ok || decl.Tok != token.CONST {
		return nil
	}
	for _, s := range decl.Specs {
		for _, n := range s.(*ast.ValueSpec).Names {
			names = append(names, n.Name)
		}
	}
	return names
}

// The header has no more opcodes than the package, up to Linux 6.18.
func TestEveryOpcodeHasAConstant(t *testing.T) {
	ops := map[int64]string{}
	registers := map[int64]string{}
	for _, row := range abi {
		switch {
		case strings.HasPrefix(row.c, "IORING_OP_"):
			ops[row.value] = row.name
		case regexp.MustCompile(`^IORING_(UN)?REGISTER_`).MatchString(row.c) && row.value >= 0 && row.value < 64:
			registers[row.value] = row.name
		}
	}
	require.Len(t, ops, 63)
	for i := range int64(63) {
		require.Contains(t, ops, i)
	}
	for i := range int64(36) {
		require.Contains(t, registers, i)
	}
}
