package race_test

import (
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// withExamples are the packages in which every exported function and method is
// called in an example.
var withExamples = []string{"wake", "notify", "waitgroup", "vigildebug", "waitmap", "dedup", "await", "uringwake", "httpcache", "httpcache/diskstore"}

// needNoExample are functions and methods that an example would not explain.
var needNoExample = map[string][]string{
	"vigildebug": {"Facts.MarshalJSON", "Metrics.MarshalJSON"}, // called by encoding/json
	// The methods of errors are called by packages fmt and errors.
	"dedup":     {"KeyError.Error", "KeyError.Unwrap", "KeyErrors.Error", "KeyErrors.Unwrap"},
	"uringwake": {"PanicError.Error", "PanicError.Unwrap"},
}

// TestExamplesCallEverything checks that every exported function and method is
// called in the body of an example that runs.
func TestExamplesCallEverything(t *testing.T) {
	for _, pkg := range withExamples {
		api, called := exportedCalls(t, pkg), exampleCalls(t, pkg)
		for _, name := range needNoExample[pkg] {
			require.Contains(t, api, name, "%s: it needs no exception", pkg)
			require.False(t, hasExample(called, pkg, name), "%s: %s has an example and needs no exception", pkg, name)
		}
		for _, name := range api {
			if !hasExample(called, pkg, name) && !slices.Contains(needNoExample[pkg], name) {
				t.Errorf("%s: no example calls %s", pkg, name)
			}
		}
	}
}

// exportedCalls returns a package's exported functions, as "Func", and methods of
// exported types, as "Type.Method".
func exportedCalls(t *testing.T, pkg string) (names []string) {
	t.Helper()
	fset := token.NewFileSet()
	p, err := doc.NewFromFiles(fset, parsed(t, fset, pkg, false), module+"/"+pkg)
	require.NoError(t, err)
	add := func(prefix string, funcs []*doc.Func) {
		for _, f := range funcs {
			names = append(names, prefix+f.Name)
		}
	}
	add("", p.Funcs)
	for _, typ := range p.Types {
		add("", typ.Funcs)
		add(typ.Name+".", typ.Methods)
	}
	require.NotEmpty(t, names, pkg)
	return names
}

// exampleCalls returns the calls in the bodies of a package's examples: "pkg.Func",
// and ".Method" for a method of any value.
func exampleCalls(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	called := make(map[string]bool)
	for _, file := range parsed(t, token.NewFileSet(), pkg, true) {
		imports := importNames(t, file)
		for _, e := range doc.Examples(file) {
			if e.Output == "" && !e.EmptyOutput {
				continue // it is only compiled
			}
			ast.Inspect(e.Code, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					called[selectorName(s, imports)] = true
				}
				return true
			})
		}
	}
	return called
}

// selectorName returns s in the form that exampleCalls returns.
func selectorName(s *ast.SelectorExpr, imports map[string]string) string {
	if x, ok := s.X.(*ast.Ident); ok && imports[x.Name] != "" {
		return imports[x.Name] + "." + s.Sel.Name
	}
	return "." + s.Sel.Name
}

// hasExample reports whether the function or method of that name is in the result
// of exampleCalls.
func hasExample(called map[string]bool, pkg, name string) bool {
	if _, method, ok := strings.Cut(name, "."); ok {
		return called["."+method]
	}
	return called[pkg+"."+name]
}

// importNames maps the names of a file's imports to their paths. Paths of this
// module are relative to it.
func importNames(t *testing.T, file *ast.File) map[string]string {
	t.Helper()
	names := make(map[string]string)
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = strings.TrimPrefix(path, module+"/")
	}
	return names
}

// parsed returns a package's files on Linux: the files of its API or those of its
// external tests.
func parsed(t *testing.T, fset *token.FileSet, pkg string, tests bool) (files []*ast.File) {
	t.Helper()
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = "linux", "amd64", false
	dir := filepath.Join("..", pkg)
	p, err := ctx.ImportDir(dir, 0)
	require.NoError(t, err)
	names := p.GoFiles
	if tests {
		names = p.XTestGoFiles
	}
	for _, name := range names {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}
