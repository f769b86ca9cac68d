package ring_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func TestResizeKeepsWhatIsThere(t *testing.T) {
	const deferred = ring.SetupSingleIssuer | ring.SetupDeferTaskrun
	for name, flags := range map[string]uint32{
		"mapped": deferred, "without an index": deferred | ring.SetupNoSQArray, "our memory": deferred | ring.SetupNoMmap,
		"large completions": deferred | ring.SetupCQE32, "large entries": deferred | ring.SetupSQE128,
		"mixed completions": deferred | ring.SetupCQEMixed,
	} {
		t.Run(name, func(t *testing.T) {
			onThread(t, func() { resize(t, flags) })
		})
	}
}

func resize(t *testing.T, flags uint32) {
	g := setupKind(t, 4, flags)
	wrapAround(&rig{T: t, r: setupKind(t, 8, flags).r, next: 1})
	for range 3 { // so that indices are not zero
		g.ok(func(s *ring.SQE) { s.PrepNop() })
	}
	var done, pending []uint64
	for range 3 {
		done = append(done, g.prep(func(s *ring.SQE) { s.PrepNop() }))
	}
	g.submit()
	for range 3 {
		pending = append(pending, g.prep(func(s *ring.SQE) { s.PrepNop() }))
	}
	p := &ring.Params{SQEntries: 32, CQEntries: 128, Flags: ring.SetupCQSize}
	err := g.r.Registrar().ResizeRings(p)
	skipUnsupported(t, err, "RegisterResizeRings")
	require.NoError(t, err)
	require.EqualValues(t, 32, g.r.SQ().Entries())
	require.EqualValues(t, 128, g.r.CQ().Entries())
	require.EqualValues(t, 3, g.r.CQ().Ready())
	require.EqualValues(t, 3, g.r.SQ().Ready())
	g.submit()
	for _, data := range append(done, pending...) {
		require.Zero(t, g.waitFor(data).Res)
	}
	wrapAround(g)
	require.NoError(t, g.r.Registrar().ResizeRings(&ring.Params{SQEntries: 8}), "smaller")
	wrapAround(g)
}

func TestRefusedResizes(t *testing.T) {
	g := newRig(t, nil)
	err := g.r.Registrar().ResizeRings(&ring.Params{SQEntries: 8})
	skipUnsupported(t, err, "RegisterResizeRings")
	require.ErrorIs(t, err, unix.EINVAL, "a ring without SetupDeferTaskrun")
	require.ErrorIs(t, g.r.Registrar().ResizeRings(&ring.Params{Flags: ring.SetupSQPoll}), unix.EINVAL)
	wrapAround(g)
	onThread(t, func() {
		for _, flags := range []uint32{0, ring.SetupNoMmap} {
			g := setupKind(t, 8, ring.SetupSingleIssuer|ring.SetupDeferTaskrun|flags)
			for range 5 {
				g.prep(func(s *ring.SQE) { s.PrepNop() })
			}
			err := g.r.Registrar().ResizeRings(&ring.Params{SQEntries: 2})
			skipUnsupported(t, err, "RegisterResizeRings")
			require.ErrorIs(t, err, unix.EOVERFLOW)
			g.submit()
			require.Len(t, g.drain(5), 5, "the ring is as it was")
		}
	})
}
