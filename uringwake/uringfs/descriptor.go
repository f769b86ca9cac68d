package uringfs

import (
	"context"
	"os"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A descriptor is a file descriptor with its users. The last user closes it, so that a
// number is never used that has become another file's.
//
//	bit  0      closing: acquire fails
//	bits 1..63  users
type descriptor struct {
	word atomic.Uint64
	fd   int

	// What interrupts the calls that wait for others when the file is closed. It is nil
	// for files on which no transfer does.
	waits *interrupters

	// The call of Close that waits, set while it is a user itself.
	closer wake.Parker
	closed atomic.Bool // after err
	err    error
}

const (
	closing uint64 = 1
	user    uint64 = 2
)

// acquire reports whether the caller may use fd until it calls release.
func (d *descriptor) acquire() bool {
	for {
		w := d.word.Load()
		if w&closing != 0 {
			return false
		}
		if d.word.CompareAndSwap(w, w+user) {
			return true
		}
	}
}

// release ends a use. If it was the last, and the file is closing, the descriptor is
// closed, whatever the context of that use does by then.
func (d *descriptor) release() {
	if d.word.Add(^(user - 1)) != closing {
		return
	}
	d.err = closeFD(current(), d.fd)
	d.closed.Store(true)
	if d.closer != nil {
		d.closer.Wake()
	}
}

// isClosing reports whether Close was called.
func (d *descriptor) isClosing() bool { return d.word.Load()&closing != 0 }

// close refuses new users, ends what waits for others, and waits until the descriptor is
// closed. If ctx ends first, the last user closes it nevertheless.
func (d *descriptor) close(ctx context.Context) error {
	if !d.beginClose() {
		return os.ErrClosed
	}
	p := wake.ParkerFrom(ctx)
	d.closer = p
	d.interruptAndRelease()
	for !d.closed.Load() {
		if err := p.Park(ctx); err != nil && !d.closed.Load() {
			return waitq.ParkError(ctx, err)
		}
	}
	return d.err
}

// interruptAndRelease releases even if a waker panics.
func (d *descriptor) interruptAndRelease() {
	defer d.release()
	if d.waits != nil {
		d.waits.interrupt()
	}
}

// beginClose makes the caller the last new user. It reports false if Close was called
// before.
func (d *descriptor) beginClose() bool {
	for {
		w := d.word.Load()
		if w&closing != 0 {
			return false
		}
		if d.word.CompareAndSwap(w, w+user|closing) {
			return true
		}
	}
}

// drop closes the descriptor of a File that nothing refers to.
func (d *descriptor) drop() {
	if d.beginClose() {
		d.interruptAndRelease()
	}
}
