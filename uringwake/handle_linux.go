package uringwake

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// handle is a file descriptor that may be closed while other goroutines use it: it is
// closed when the last of them has released it, so that a number is never used that
// has become another file's.
//
//	bit  0      closing: acquire fails
//	bits 1..63  users
type handle struct {
	word    atomic.Uint64
	fd      int
	closeFD func() error // how to close fd
}

func closer(fd int) func() error {
	return func() error {
		if err := unix.Close(fd); err != nil {
			return &ring.Error{Call: "close", Errno: errnoOf(err)}
		}
		return nil
	}
}

// acquire reports whether the caller may use fd until it calls release.
func (h *handle) acquire() bool {
	for {
		w := h.word.Load()
		if w&1 != 0 {
			return false
		}
		if h.word.CompareAndSwap(w, w+2) {
			return true
		}
	}
}

func (h *handle) release() {
	if h.word.Add(^uint64(1)) == 1 {
		h.closeFD() // the error has no receiver
	}
}

// close refuses new users, and closes fd as soon as there are none.
func (h *handle) close() error {
	if h.word.Or(1) == 0 {
		return h.closeFD()
	}
	return nil
}
