package race_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/models/order.md lists every access to memory that is shared with the kernel.
// The tests in this file compare it with the code: each row is in the code, and
// each access has a row. order_asm_test.go compares it with the output of the
// compiler.

const orderPage = "../docs/models/order.md"

// sharing are the packages that have such memory.
var sharing = []string{"uringwake/ring", "uringwake"}

// A row is one line of the page's tables.
type row struct {
	arch         string   // whose instructions these are
	where, code  string   // "ring.(*BufRing).Add"; the source of an expression or statement there
	instructions []string // empty: no access, only an address
}

var quoted = regexp.MustCompile("`([^`]+)`")

// orderRows reads the page. A table's first column is the function, its third the
// code and its fourth the instructions.
func orderRows(t *testing.T) (rows []row) {
	t.Helper()
	page, err := os.ReadFile(orderPage)
	require.NoError(t, err)
	arch := "arm64"
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "## ") && strings.Contains(line, "x86-64") {
			arch = "amd64"
		}
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "\x00"), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 5 {
			continue
		}
		r := row{arch: arch, where: inQuotes(cells[0])[0], code: inQuotes(cells[2])[0], instructions: inQuotes(cells[3])}
		rows = append(rows, r)
	}
	return rows
}

func inQuotes(cell string) (all []string) {
	for _, m := range quoted.FindAllStringSubmatch(strings.ReplaceAll(cell, "\x00", "|"), -1) {
		all = append(all, m[1])
	}
	return all
}

// A source is the code of one package as built for Linux on one architecture.
type source struct {
	name  string // "ring"
	fset  *token.FileSet
	funcs map[string]*ast.FuncDecl // by the function column of a row
	rows  []row
}

func parseShared(t *testing.T, dir, arch string, rows []row) *source {
	t.Helper()
	s := &source{name: filepath.Base(dir), fset: token.NewFileSet(), funcs: map[string]*ast.FuncDecl{}}
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.BuildTags, ctx.InstallSuffix = "linux", arch, nil, ""
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		match, err := ctx.MatchFile(filepath.Split(file))
		require.NoError(t, err)
		if match && !strings.HasSuffix(file, "_test.go") {
			s.add(t, file)
		}
	}
	for _, r := range rows {
		if r.arch == arch && strings.HasPrefix(r.where, s.name+".") {
			s.rows = append(s.rows, r)
		}
	}
	return s
}

func (s *source) add(t *testing.T, file string) {
	t.Helper()
	f, err := parser.ParseFile(s.fset, file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			s.funcs[s.name+"."+linkReceiver(fn)+fn.Name.Name] = fn
		}
	}
}

// linkReceiver returns "(*T)." or "T.", as the linker writes it.
func linkReceiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
		return "(*" + text(star.X) + ")."
	}
	return text(fn.Recv.List[0].Type) + "."
}

// text returns a node's source, as gofmt prints it.
func text(n ast.Node) string {
	var b bytes.Buffer
	if err := format.Node(&b, token.NewFileSet(), n); err != nil {
		return ""
	}
	return b.String()
}

// covers reports whether a row of the function is that node.
func (s *source) covers(where string, n ast.Node) bool {
	return slices.ContainsFunc(s.rows, func(r row) bool { return r.where == where && r.code == text(n) })
}

// occurrences returns the nodes of a row's function that match its code.
func (s *source) occurrences(r row) (found []ast.Node) {
	fn := s.funcs[r.where]
	if fn == nil {
		return nil
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n.(type) {
		case ast.Expr, ast.Stmt:
			if text(n) == r.code {
				found = append(found, n)
				return false // the statement and its expression are one occurrence
			}
		}
		return true
	})
	return found
}

// TestOrderRowsAreInTheCode checks that the code has each row of the page.
func TestOrderRowsAreInTheCode(t *testing.T) {
	rows := orderRows(t)
	n := 0
	for _, arch := range []string{"arm64", "amd64"} {
		for _, dir := range sharing {
			s := parseShared(t, dir, arch, rows)
			n += len(s.rows)
			for _, r := range s.rows {
				require.NotEmpty(t, s.occurrences(r), "%s says that %s has %s", orderPage, r.where, r.code)
			}
		}
	}
	require.Equal(t, len(rows), n, "a row of the page is of no package that shares memory")
}

// TestOrderOfEveryAccess checks that the page has each access in the code.
func TestOrderOfEveryAccess(t *testing.T) {
	rows := orderRows(t)
	var missing []string
	seen := 0
	for _, dir := range sharing {
		s := parseShared(t, dir, "arm64", rows)
		for where, fn := range s.funcs {
			for _, a := range accesses(fn) {
				if seen++; !slices.ContainsFunc(a.around, func(n ast.Node) bool { return s.covers(where, n) }) {
					missing = append(missing, fmt.Sprintf("%s: %s: %s", s.fset.Position(a.node().Pos()), where, text(a.node())))
				}
			}
		}
	}
	require.Greater(t, seen, 50, "the search finds too little")
	require.Empty(t, missing, "accesses to memory that the kernel shares, which %s does not list", orderPage)
}
