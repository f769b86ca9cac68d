package uringwake

import (
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A heldFile is the descriptor of a call that may wait for it and try again.
type heldFile struct {
	fd          int
	duplicated  bool                // fd is a duplicate
	interrupter *bridge.Interrupter // or nil
}

// duplicate has the call continue with its file if the descriptor is closed while it
// waits: the number may be another file's by then. It reports false if there are no more
// descriptors.
func (f *heldFile) duplicate() bool {
	if !f.duplicated {
		fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return false
		}
		f.fd, f.duplicated = fd, true
	}
	return true
}

func (f *heldFile) closeDuplicate() {
	if f.duplicated {
		closeAside(f.fd)
	}
}

// isNonblocking reports whether the descriptor has O_NONBLOCK.
func (f *heldFile) isNonblocking() bool { return f.hasFlag(unix.O_NONBLOCK) }

// hasFlag reports whether the file has this flag of open(2).
func (f *heldFile) hasFlag(flag int) bool {
	flags, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
	return err == nil && flags&flag != 0
}
