package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

const tag = "vigil_schedpoint" // the build tag of the mutants' tests

// TestMutantsCompile checks that every mutant compiles. Otherwise the command would
// fail, perhaps an hour after it began.
func TestMutantsCompile(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector makes this slower and finds nothing more")
	}
	root, err := moduleRoot()
	require.NoError(t, err)
	c := newChecker(t, root)
	for _, m := range mutations {
		text, err := m.apply(root)
		require.NoError(t, err)
		assert.NoError(t, c.check(m.file, text), "%s: %s", m.file, m.why)
	}
}

// TestCheckerRejects checks that the checker rejects what the compiler rejects.
func TestCheckerRejects(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	c := newChecker(t, root)
	text, err := os.ReadFile(filepath.Join(root, "wake/wake.go"))
	require.NoError(t, err)
	require.NoError(t, c.check("wake/wake.go", string(text)))
	require.Error(t, c.check("wake/wake.go", string(text)+"\nfunc f() { x := 1 }"))
	require.Error(t, c.check("wake/wake.go", string(text)+"\nfunc f() { undefined() }"))
}

// A checker type-checks packages of the module with one file replaced.
type checker struct {
	root string
	fset *token.FileSet
	deps types.Importer
}

func newChecker(t *testing.T, root string) *checker {
	cmd := exec.Command("go", "list", "-tags", tag, "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	exports := make(map[string]string)
	for line := range bytes.Lines(out) {
		path, file, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		exports[path] = file
	}
	fset := token.NewFileSet()
	return &checker{root, fset, importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
}

// check returns the first error of file's package, with text for the file.
func (c *checker) check(file, text string) error {
	dir := filepath.Join(c.root, filepath.Dir(file))
	context := build.Default
	context.BuildTags = []string{tag}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var files []*ast.File
	replaced := false
	for _, e := range entries {
		if ok, err := context.MatchFile(dir, e.Name()); err != nil || !ok || strings.HasSuffix(e.Name(), "_test.go") || filepath.Ext(e.Name()) != ".go" {
			continue
		}
		var src any
		if e.Name() == filepath.Base(file) {
			src, replaced = text, true
		}
		f, err := parser.ParseFile(c.fset, filepath.Join(dir, e.Name()), src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if !replaced {
		return fmt.Errorf("%s is not built here", file)
	}
	conf := types.Config{Importer: c.deps}
	_, err = conf.Check(filepath.Dir(file), c.fset, files, nil)
	return err
}
