package uringwake

import (
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// once reports whether o must not be submitted again though the kernel says that it has
// stopped it: part of it may have been done. A second one would
//
//	close               close a file that has got the number meanwhile
//	openat              cut off what was written since (O_TRUNC), or find its own file (O_EXCL)
//	rename, unlink,     fail, since it finds its own work, or change what others have
//	mkdir, link, bind   made in that place since
//	connect             fail, since the first attempt goes on
//	fallocate           shift the rest of the file twice, in some modes
//
// A transfer that was stopped has transferred nothing: otherwise its result would say how
// much. An accept or a socket has made none, and the others may be done any number of
// times.
func (o *op) once() bool {
	switch o.sqe.Opcode {
	case ring.OpClose, ring.OpOpenat, ring.OpRenameat, ring.OpUnlinkat, ring.OpMkdirat, ring.OpLinkat,
		ring.OpSymlinkat, ring.OpBind, ring.OpConnect:
		return true
	case ring.OpFallocate:
		return o.sqe.Len&(unix.FALLOC_FL_COLLAPSE_RANGE|unix.FALLOC_FL_INSERT_RANGE) != 0
	}
	return false
}

// take returns the result, which then belongs to the caller.
func (o *op) take() int {
	n := o.res
	o.res = -1
	return int(n)
}

// drop closes a descriptor that nobody has taken: a parker or a waker panicked, or ended
// the goroutine, while the operation was in flight.
func (o *op) drop() {
	if o.state != completed || o.res < 0 {
		return
	}
	switch o.sqe.Opcode {
	case ring.OpOpenat, ring.OpAccept, ring.OpSocket:
		closeAside(o.take())
	}
}
