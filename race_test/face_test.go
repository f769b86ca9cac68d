package race_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSameFaceEverywhere checks that code that uses uringwake, or a package below it,
// compiles on every system.
func TestSameFaceEverywhere(t *testing.T) {
	for path, has := range map[string]string{"uringwake": "Loop.Go", "uringwake/uringfs": "File.Read", "uringwake/uringnet": "Conn.Read"} {
		linux := face(t, path, "linux")
		require.Contains(t, linux, has)
		require.Equal(t, linux, face(t, path, "darwin"))
	}
}

// face lists the exported functions, methods, types, variables and constants of a
// package on a system.
func face(t *testing.T, path, goos string) []string {
	t.Helper()
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = goos, "amd64", false
	dir := filepath.Join("..", path)
	pkg, err := ctx.ImportDir(dir, 0)
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, file := range pkg.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			for _, name := range exported(d) {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func exported(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if of := receiver(d); d.Name.IsExported() && (of == "" || token.IsExported(of)) {
			names = append(names, of+"."+d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !token.IsExported(strings.TrimPrefix(name, ".")) })
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	e := d.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if generic, ok := e.(*ast.IndexExpr); ok {
		e = generic.X
	}
	return e.(*ast.Ident).Name
}
