package uringwake_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// huge is a buffer whose length does not fit into 32 bits, and of which little is in
// memory.
func huge(t testing.TB) []byte {
	t.Helper()
	if math.MaxInt == math.MaxInt32 {
		t.Skip("no buffer is so long")
	}
	n := int64(math.MaxUint32) + 3
	p, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Munmap(p)) })
	return p
}

// A length over 32 bits is not cut to its low bits, which would be 2.
func TestBuffersOver4GiB(t *testing.T) {
	p := huge(t)
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := socketPair(t, unix.SOCK_STREAM)
		for name, receive := range map[string]func() (int, error){
			"recv": func() (int, error) { return uringwake.Recv(ctx, fds[0], p, 0) },
			"recvmsg": func() (int, error) {
				return uringwake.Recvmsg(ctx, fds[0], &uringwake.Message{Buffers: [][]byte{p}}, 0)
			},
			"readv": func() (int, error) { return uringwake.Readv(ctx, fds[0], [][]byte{p[:1], p[1:]}, -1) },
		} {
			_, err := unix.Write(fds[1], []byte("hello"))
			require.NoError(t, err)
			n, err := receive()
			require.NoError(t, err, name)
			require.Equal(t, "hello", string(p[:n]), name)
		}
		n, err := uringwake.Send(ctx, fds[0], p, unix.MSG_DONTWAIT)
		require.NoError(t, err)
		require.Greater(t, n, 2)
	})
}

// An empty buffer receives and sends nothing, of a stream.
func TestEmptyBuffers(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := socketPair(t, unix.SOCK_STREAM)
		_, err := unix.Write(fds[1], []byte("hello"))
		require.NoError(t, err)
		for _, flags := range []int{0, unix.MSG_WAITALL} {
			for _, p := range [][]byte{nil, {}} {
				n, err := uringwake.Recv(ctx, fds[0], p, flags)
				require.NoError(t, err)
				require.Zero(t, n)
				n, err = uringwake.Send(ctx, fds[0], p, flags)
				require.NoError(t, err)
				require.Zero(t, n)
				for _, v := range [][][]byte{nil, {p}, {p, p}} {
					n, err = uringwake.Sendmsg(ctx, fds[0], &uringwake.Message{Buffers: v}, flags)
					require.NoError(t, err)
					require.Zero(t, n)
				}
			}
		}
		p := make([]byte, 10)
		n, err := uringwake.Recv(ctx, fds[0], p, 0)
		require.NoError(t, err)
		require.Equal(t, "hello", string(p[:n]))
	})
}
