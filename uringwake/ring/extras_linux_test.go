package ring_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func vectors(parts ...[]byte) []unix.Iovec {
	v := make([]unix.Iovec, len(parts))
	for i, p := range parts {
		v[i].Base = &p[0]
		v[i].SetLen(len(p))
	}
	return v
}

func TestVectorizedSends(t *testing.T) {
	g := newRig(t, nil)
	l, port := listener(t)
	client := connect(t, port)
	server, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	closed(t, server)
	buf := []byte("in three parts")
	v := vectors(buf[:3], buf[3:9], buf[9:])
	c := g.do(func(s *ring.SQE) { s.PrepSendVectorized(client, v, 0) })
	if errno(c) == unix.EINVAL {
		t.Skip("before Linux 6.17")
	}
	require.EqualValues(t, len(buf), c.Res)
	zeroCopy(g, len(buf), func(s *ring.SQE) { s.PrepSendZCVectorized(client, v, 0, 0) })
	got := make([]byte, 64)
	n, err := unix.Read(server, got)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(string(buf), 2), string(got[:n]))
}

// The kernel marks what a child does not get: dc, do not copy.
func TestDontFork(t *testing.T) {
	for _, flags := range []uint32{0, ring.SetupNoMmap} {
		r := setup(t, 2, &ring.Params{Flags: flags})
		before := uncopied(t)
		require.NoError(t, r.DontFork())
		require.Greater(t, uncopied(t), before)
	}
}

// uncopied counts the process's mappings that are not copied by fork.
func uncopied(t *testing.T) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip("cannot see the mappings:", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "VmFlags:") && strings.Contains(s.Text(), " dc") {
			n++
		}
	}
	return n
}

func TestZcrxOffsets(t *testing.T) {
	c := ring.ZcrxExtra([2]uint64{3<<ring.ZcrxAreaShift | 4096, 0})
	require.EqualValues(t, 3, c.Area())
	require.EqualValues(t, 4096, c.Start())
}
