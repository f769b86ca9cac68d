package ring_test

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func TestBufRing(t *testing.T) {
	for name, flags := range map[string]uint16{"our memory": 0, "the kernel's memory": ring.PbufRingMmap} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			br, err := g.r.Registrar().SetupBufRing(4, 9, flags)
			skipUnsupported(t, err, "PbufRingMmap")
			require.NoError(t, err)
			require.EqualValues(t, 9, br.Group())
			b := &buffers{ring: br, bufs: [][]byte{make([]byte, 8), make([]byte, 8), make([]byte, 8)}}
			for i, p := range b.bufs {
				br.Add(p, uint16(i))
			}
			a, z := socketPair(t, unix.SOCK_STREAM)
			recv := func(s *ring.SQE) { s.PrepRecv(z, nil, unix.MSG_DONTWAIT); s.SetBufferGroup(9) }
			_, err = unix.Write(a, []byte("x"))
			require.NoError(t, err)
			require.Equal(t, unix.ENOBUFS, errno(g.do(recv)), "not before Advance")
			br.Advance()
			c := g.do(recv)
			require.NoError(t, c.Err())
			require.Equal(t, "x", b.taken(g, c))
			cycle(g, b, a, recv)
			available(t, br)
			require.NoError(t, br.Free())
			require.NoError(t, br.Free(), "a second one does nothing")
			_, err = unix.Write(a, []byte("x"))
			require.NoError(t, err)
			require.Equal(t, unix.ENOBUFS, errno(g.do(recv)))
		})
	}
}

// cycle takes more buffers than a 16-bit tail counts.
func cycle(g *rig, b *buffers, to int, recv func(s *ring.SQE)) {
	g.Helper()
	for i := range 1<<16 + 10 {
		_, err := unix.Write(to, []byte{byte(i)})
		if err != nil {
			require.NoError(g, err)
		}
		c := g.r.SQ().GetSQE()
		recv(c)
		if _, err := g.r.SQ().Submit(); err != nil {
			require.NoError(g, err)
		}
		done := g.wait()
		id, ok := done.BufferID()
		if !ok || done.Res != 1 || b.bufs[id][0] != byte(i) {
			require.Failf(g, "wrong buffer", "round %d: %+v", i, done)
		}
		b.ring.Add(b.bufs[id], id)
		b.ring.Advance()
	}
}

func available(t *testing.T, br *ring.BufRing) {
	t.Helper()
	n, err := br.Available()
	skipUnsupported(t, err, "RegisterPbufStatus")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	_, err = br.Head()
	require.NoError(t, err)
}

// With PbufRingInc a buffer is used up bit by bit.
func TestIncrementalBuffers(t *testing.T) {
	g := newRig(t, nil)
	br, err := g.r.Registrar().SetupBufRing(1, 9, ring.PbufRingInc)
	skipUnsupported(t, err, "PbufRingInc")
	require.NoError(t, err)
	p := make([]byte, 8)
	br.Add(p, 3)
	br.Advance()
	a, z := socketPair(t, unix.SOCK_STREAM)
	for i, part := range []string{"abc", "defgh"} {
		_, err = unix.Write(a, []byte(part))
		require.NoError(t, err)
		c := g.do(func(s *ring.SQE) { s.PrepRecv(z, nil, 0); s.SetBufferGroup(9) })
		require.NoError(t, c.Err())
		require.EqualValues(t, len(part), c.Res)
		require.Equal(t, i == 0, c.Flags&ring.CQEBufMore != 0)
	}
	require.Equal(t, "abcdefgh", string(p))
}

func TestRefusedBufRings(t *testing.T) {
	g := newRig(t, nil)
	for _, entries := range []uint32{0, 3, 1 << 16} {
		_, err := g.r.Registrar().SetupBufRing(entries, 1, 0)
		require.ErrorIs(t, err, unix.EINVAL)
	}
	const unknown = 1 << 15
	_, err := g.r.Registrar().SetupBufRing(2, 2, unknown)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, err, unix.EINVAL)
	provide(g, 2, 8, 1)
	_, err = g.r.Registrar().SetupBufRing(2, 1, 0)
	require.ErrorIs(t, err, unix.EEXIST, "the group is there")
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

// What was not freed goes with the ring: TestMain looks for mappings.
func TestCloseFreesBufRings(t *testing.T) {
	r := setup(t, 2, nil)
	br, err := r.Registrar().SetupBufRing(4, 1, ring.PbufRingMmap)
	skipUnsupported(t, err, "PbufRingMmap")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.NoError(t, br.Free())
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	require.NotContains(t, string(maps), "[io_uring]")
}
