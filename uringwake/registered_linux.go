package uringwake

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// fixedState is a file or a buffer in a table of a ring. The place is given away again when
// the last operation that names it has completed: the kernel looks it up when it takes the
// entry, and until then the entry waits in the queue or in the backlog.
type fixedState struct {
	*handle // of the place in the table
	driver  driver
	mem     []byte

	unixDatagram bool // the file is a unix datagram socket
}

// mustBeMade catches the zero value.
func (s *fixedState) mustBeMade(what, maker string) {
	if s.handle == nil {
		panic("uringwake: a " + what + " that " + maker + " did not make")
	}
}

const fixedPlaces = 1024

// fixedTable is what user space knows of one of the ring's two tables.
type fixedTable struct {
	made bool
	free []int
	mem  [][]byte // keeps registered buffers reachable
}

// take returns a free place of the table, which create makes the first time.
func (t *fixedTable) take(create func() error) (int, error) {
	if !t.made {
		if err := create(); err != nil {
			return 0, err
		}
		t.made, t.mem = true, make([][]byte, fixedPlaces)
		for i := range fixedPlaces {
			t.free = append(t.free, fixedPlaces-1-i)
		}
	}
	if len(t.free) == 0 {
		return 0, &ring.Error{Call: "io_uring_register", Errno: unix.ENOSPC}
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	return i, nil
}

func (t *fixedTable) give(i int) {
	t.mem[i] = nil
	t.free = append(t.free, i)
}

// onQueue calls f with the queue of the driver that serves the code under ctx, as long as
// nothing else uses it.
func onQueue(ctx context.Context, f func(q *ringQueue) error) (driver, error) {
	waitq.MustContext(ctx, "uringwake")
	if t := TaskFrom(ctx); t != nil {
		t.mustRun("operation")
		return t.loop, f(&t.loop.ringQueue)
	}
	d, err := defaultGoroutineDriver()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d, f(&d.ringQueue)
}

// later calls f with the queue of d, soon, unless its loop has ended. Nothing may be locked.
func later(d driver, f func(q *ringQueue)) {
	switch d := d.(type) {
	case *Loop:
		d.deliver(callTo(func() { f(&d.ringQueue) }))
	case *goroutineDriver:
		d.mu.Lock()
		defer d.mu.Unlock()
		f(&d.ringQueue)
	}
}

func registerFile(ctx context.Context, fd int) (*FixedFile, error) {
	if err := checkFD("io_uring_register", fd); err != nil {
		return nil, err
	}
	place, unixDatagram := 0, isUnixDatagram(fd)
	d, err := onQueue(ctx, func(q *ringQueue) (err error) {
		place, err = q.files.take(q.makeFiles)
		if err != nil {
			return err
		}
		_, err = q.ring.Registrar().RegisterFilesUpdate(uint32(place), []int32{int32(fd)})
		if err != nil {
			q.files.give(place)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f := &FixedFile{newFixed(d, place, nil, (*ringQueue).vacateFile)}
	f.unixDatagram = unixDatagram
	runtime.AddCleanup(f, func(h *handle) { h.close() }, f.handle)
	return f, nil
}

func (q *ringQueue) makeFiles() error {
	none := make([]int32, fixedPlaces)
	for i := range none {
		none[i] = -1
	}
	return q.ring.Registrar().RegisterFiles(none)
}

// vacateFile keeps the place if the kernel does not empty it.
func (q *ringQueue) vacateFile(place int) {
	if _, err := q.ring.Registrar().RegisterFilesUpdate(uint32(place), []int32{-1}); err == nil {
		q.files.give(place)
	}
}

func registerBuffer(ctx context.Context, p []byte) (*FixedBuffer, error) {
	place := 0
	d, err := onQueue(ctx, func(q *ringQueue) (err error) {
		if len(p) == 0 {
			return &ring.Error{Call: "io_uring_register", Errno: unix.EINVAL}
		}
		place, err = q.fixedBuffers.take(func() error { return q.ring.Registrar().RegisterBuffersSparse(fixedPlaces) })
		if err != nil {
			return err
		}
		_, err = q.ring.Registrar().RegisterBuffersUpdateTag(uint32(place), [][]byte{p}, nil)
		if err != nil {
			q.fixedBuffers.give(place)
		} else {
			q.fixedBuffers.mem[place] = p
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b := &FixedBuffer{newFixed(d, place, p, (*ringQueue).vacateBuffer)}
	runtime.AddCleanup(b, func(h *handle) { h.close() }, b.handle)
	return b, nil
}

func (q *ringQueue) vacateBuffer(place int) {
	if _, err := q.ring.Registrar().RegisterBuffersUpdateTag(uint32(place), [][]byte{nil}, nil); err == nil {
		q.fixedBuffers.give(place)
	}
}

func newFixed(d driver, place int, p []byte, vacate func(q *ringQueue, place int)) fixedState {
	h := &handle{fd: place}
	h.closeFD = func() error {
		later(d, func(q *ringQueue) { vacate(q, place) })
		return nil
	}
	return fixedState{handle: h, driver: d, mem: p}
}

func (s *fixedState) shut() error {
	err := s.handle.close()
	runtime.KeepAlive(s)
	return err
}

// hold has s keep its place until release.
func (s *fixedState) hold(call string, d driver) error {
	if s.driver != d {
		return fmt.Errorf("uringwake: %s with what is registered with another ring: %w", call, unix.EINVAL)
	}
	if !s.acquire() {
		return fmt.Errorf("uringwake: %s with what is no longer registered: %w", call, os.ErrClosed)
	}
	return nil
}

// holds reports whether p lies in the buffer.
func (s *fixedState) holds(p []byte) bool {
	at, start := uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(unsafe.SliceData(s.mem)))
	return at >= start && at-start <= uintptr(len(s.mem)) && uintptr(len(p)) <= uintptr(len(s.mem))-(at-start)
}

// useFixed has the prepared entry of o name the registered file and buffer of op, which
// keep their places until op.release.
func (op *Op) useFixed(call string, o *op) error {
	if op.buffer != nil {
		if err := op.useBuffer(call, o); err != nil {
			return err
		}
	}
	if op.file == nil {
		return nil
	}
	err := op.file.hold(call, o.driver)
	if err != nil && op.buffer != nil {
		op.buffer.release()
	}
	o.sqe.FD = int32(op.file.fd)
	o.sqe.SetFixedFile()
	return err
}

func (op *Op) useBuffer(call string, o *op) error {
	s := &o.sqe
	switch op.kind {
	case kindRead:
		s.Opcode = ring.OpReadFixed
	case kindWrite:
		s.Opcode = ring.OpWriteFixed
	case kindSendZC:
		s.IOPrio |= ring.RecvSendFixedBuf
	default:
		return &ring.Error{Call: call, Errno: unix.EINVAL}
	}
	if !op.buffer.holds(op.p) {
		return &ring.Error{Call: call, Errno: unix.EFAULT}
	}
	s.SetFixedBuffer(uint16(op.buffer.fd))
	return op.buffer.hold(call, o.driver)
}

// release gives up what is registered, when the operation has completed. Nothing may be
// locked.
func (op *Op) release() {
	if op.file != nil {
		op.file.release()
	}
	if op.buffer != nil {
		op.buffer.release()
	}
}
