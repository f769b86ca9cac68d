package ring

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Hazard: a cgroup without huge pages has them at mmap and not at the first
// touch. A file that ends before its mapping does behaves alike.
func TestMemoryThatCannotBeTouchedIsAnError(t *testing.T) {
	fd, err := unix.MemfdCreate("empty", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(fd)
	m, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err)
	_, err = touch(m)
	require.Error(t, err)
	m, err = unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, shared)
	require.NoError(t, err)
	m, err = touch(m)
	if errnoOf(err) == unix.EINVAL {
		t.Skip("before Linux 5.14's madvise:", err)
	}
	require.NoError(t, err)
	m[0] = 1
	require.NoError(t, unix.Munmap(m))
}

// Where ordinary pages do there are no others, however many are free.
func TestOrdinaryPagesAreEnough(t *testing.T) {
	r, err := Setup(512, &Params{Flags: SetupNoMmap})
	if err != nil {
		t.Skip(err) // before 6.10 it may want huge ones
	}
	defer r.Close()
	b, err := r.Registrar().SetupBufRing(512, 1, 0)
	require.NoError(t, err)
	for i := range 512 {
		b.Add(nil, uint16(i))
	}
	b.Advance()
	for _, m := range append(r.maps, b.mem) {
		require.Less(t, uint64(len(m)), hugePage())
	}
}

// contiguous is a page, or huge ones, or an error.
func TestContiguousMemory(t *testing.T) {
	m, err := contiguous(1)
	require.NoError(t, err)
	require.Len(t, m, os.Getpagesize())
	require.NoError(t, unix.Munmap(m))
	_, err = contiguous(maxMemory + 1)
	require.ErrorIs(t, err, unix.EINVAL)
	if m, err = contiguous(2 << 20); err != nil {
		t.Log("no huge pages:", err)
		return
	}
	m[len(m)-1] = 1
	require.Zero(t, uint64(len(m))%hugePage())
	require.NoError(t, unix.Munmap(m))
}
