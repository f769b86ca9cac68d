package refuse_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// What package syscall has no names for: RLIMIT_MEMLOCK, and RLIMIT_MSGQUEUE,
// which every kernel bounds.
const (
	rlimitMemlock  = 8
	rlimitMsgqueue = 12
)

func TestRlimitFiles(t *testing.T) {
	if !ruled(t, refuse.Rlimit(syscall.RLIMIT_NOFILE, 32)) {
		return
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			require.NoError(t, f.Close())
		}
	}()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			require.ErrorIs(t, err, syscall.EMFILE)
			break
		}
		files = append(files, f)
	}
	require.Less(t, len(files), 32)
	_, err := ring.Setup(8, nil)
	require.ErrorIs(t, err, syscall.EMFILE)
}

// TestRlimitMemory: locked memory is limited for those without capabilities.
func TestRlimitMemory(t *testing.T) {
	const limit = 4 << 20 // more than a huge page, which Linux 6.1 counts whole
	if !ruled(t, refuse.Unprivileged(), refuse.Rlimit(rlimitMemlock, limit)) {
		return
	}
	require.NotZero(t, os.Geteuid())
	r := newRing(t, 0)
	b := make([]byte, 2*limit)
	v := []syscall.Iovec{{Base: &b[0]}}
	v[0].SetLen(len(b))
	require.Equal(t, syscall.ENOMEM, register(r.FD(), ring.RegisterBuffers, unsafe.Pointer(&v[0]), 1))
	v[0].SetLen(1)
	require.Zero(t, register(r.FD(), ring.RegisterBuffers, unsafe.Pointer(&v[0]), 1))
	groups, err := os.Getgroups()
	require.NoError(t, err)
	require.False(t, slices.Contains(groups, 0))
}

// TestRlimitBeyondTheHardOne: the hard limit of locked memory is below what tests
// set on some kernels.
func TestRlimitBeyondTheHardOne(t *testing.T) {
	var now syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(rlimitMsgqueue, &now))
	if now.Max > 1<<40 {
		t.Skip("no hard limit")
	}
	if !ruled(t, refuse.Unprivileged(), refuse.Rlimit(rlimitMsgqueue, now.Max+1)) {
		return
	}
	want := now.Max + 1
	require.NoError(t, syscall.Getrlimit(rlimitMsgqueue, &now))
	require.Equal(t, syscall.Rlimit{Cur: want, Max: want}, now)
}
