package main

import (
	"errors"
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
