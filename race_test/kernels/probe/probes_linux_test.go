package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

// A constant of package ring's, and a call that is newer than its constants, has
// a probe of its kind, and no probe is of anything else.
func TestEveryClaimHasAProbe(t *testing.T) {
	all := probes()
	claimed := map[[2]string]bool{}
	for _, c := range ringSource(t).claims() {
		require.Contains(t, all[c.kind], c.name, c.kind)
		claimed[[2]string{c.kind, c.name}] = true
	}
	for kind, some := range all {
		for name := range some {
			require.True(t, kind == kindFace || claimed[[2]string{kind, name}], "%s %s is of nothing", kind, name)
		}
	}
}

// A function of package uringwake's that asks the kernel for something has a trial, and
// no trial is of anything else.
func TestEveryFunctionHasATrial(t *testing.T) {
	var tried []string
	for name := range probes()[kindFace] {
		tried = append(tried, name)
	}
	require.ElementsMatch(t, functions(t), tried)
}

// functions returns the names of package uringwake's, without those that only run the
// caller's code, look at a context, or start what another one makes.
func functions(t *testing.T) (names []string) {
	files, err := filepath.Glob(filepath.Join(root, "uringwake", "api*.go"))
	require.NoError(t, err)
	for _, name := range append(files, filepath.Join(root, "uringwake", "runtime.go")) {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.IsExported() && !slices.Contains([]string{"Blocking", "TaskFrom", "Start"}, fn.Name.Name) {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}

// What is recorded of this kernel's version is so here: what can be told both
// here and there, and was built into both.
func TestHereAgrees(t *testing.T) {
	if err := uringwake.Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	records, err := recorded(root)
	require.NoError(t, err)
	v := versionOf(release())
	for _, r := range records {
		if r.version() == v {
			agree(t, r)
			return
		}
	}
	t.Skip("nothing is recorded of Linux", v)
}

func agree(t *testing.T, recorded *record) {
	here, err := findAll()
	require.NoError(t, err)
	require.Equal(t, len(here.lines), len(recorded.lines))
	for _, l := range here.lines {
		f, ok := recorded.find(l.kind, l.name)
		require.True(t, ok, l.name)
		require.False(t, l.kind == kindFace && l.answer == unclear, "%s", l)
		told := l.answer != unclear && f.answer != unclear && l.how != notBuilt && f.how != notBuilt
		require.False(t, told && l.answer != f.answer, "%s; recorded: %v", l, f)
	}
}
