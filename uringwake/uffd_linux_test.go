package uringwake_test

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A missingPage is memory that is not there: a thread that touches it, in the kernel
// too, waits until it is filled.
type missingPage struct {
	fd   int
	page []byte
}

// What userfaultfd(2) takes.
const (
	uffdAPI      = 0xaa
	uffdMissing  = 1 // UFFDIO_REGISTER_MODE_MISSING
	uffdioAPI    = 0xc018aa3f
	uffdioRegstr = 0xc020aa00
	uffdioZero   = 0xc020aa04
)

type uffdRange struct{ start, size, mode, answer uint64 }

// newMissingPage skips where faults of the kernel may not be waited for.
func newMissingPage(t testing.TB) *missingPage {
	t.Helper()
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if e == unix.EPERM || e == unix.ENOSYS {
		t.Skip("no userfaultfd for faults of the kernel (CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd = 1):", e)
	}
	require.Zero(t, e)
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	m := &missingPage{int(fd), page}
	t.Cleanup(func() {
		require.NoError(t, unix.Close(m.fd))
		require.NoError(t, unix.Munmap(m.page))
	})
	api := [3]uint64{uffdAPI}
	require.NoError(t, m.ioctl(uffdioAPI, unsafe.Pointer(&api)))
	require.NoError(t, m.ioctl(uffdioRegstr, unsafe.Pointer(m.all(uffdMissing))))
	return m
}

func (m *missingPage) all(mode uint64) *uffdRange {
	return &uffdRange{start: uint64(uintptr(unsafe.Pointer(&m.page[0]))), size: uint64(len(m.page)), mode: mode}
}

func (m *missingPage) ioctl(request uintptr, arg unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(m.fd), request, uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

// awaitTouch waits until a thread waits for the page.
func (m *missingPage) awaitTouch() error {
	p := []unix.PollFd{{Fd: int32(m.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, int(patience.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = errors.New("nobody touched the missing page")
		}
		return err
	}
}

// fill puts zeros there, and wakes the waiters. Filling it twice does nothing.
func (m *missingPage) fill() error {
	err := m.ioctl(uffdioZero, unsafe.Pointer(m.all(0)))
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}
