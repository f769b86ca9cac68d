package uringwake

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// handle is a file descriptor that may be closed while others use it: it is
// closed when the last of them is done, so that no number is used that has
// become another file's.
//
//	bit  0      closing: nobody else may begin
//	bits 1..63  users
type handle struct {
	word atomic.Uint64
	fd   int
	shut func() error // how to close fd
}

func closer(fd int) func() error {
	return func() error {
		if err := unix.Close(fd); err != nil {
			return &ring.Error{Call: "close", Errno: errnoOf(err)}
		}
		return nil
	}
}

// begin reports whether the caller may use fd, until it calls end.
func (h *handle) begin() bool {
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

func (h *handle) end() {
	if h.word.Add(^uint64(1)) == 1 {
		h.shut() // nobody is left to be told
	}
}

// close refuses new users, and closes fd as soon as there is none.
func (h *handle) close() error {
	if h.word.Or(1) == 0 {
		return h.shut()
	}
	return nil
}
