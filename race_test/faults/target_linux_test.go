package faults_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

func init() { roles["target"] = target }

// A target is a loop in a child that counts the wakes that it gets in all ways that
// cross processes. First it reports its ring's number and passes an eventfd; then
// it is given a pipe, and a futex in a file. It says "ready" when its tasks wait,
// is told how many wakes were sent in each way, waits for that many, and reports
// the final numbers.
func target(t require.TestingT, parent line) {
	require.NoError(t, uringwake.Nop(forever))
	before := open()
	var got [len(crossings)]atomic.Int64
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{OnMessage: func(uint64, int32) { got[0].Add(1) }})
	require.NoError(t, err)
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	parent.say(t, l.FD(), event)
	fds := parent.expect(t, "fds")
	word, unmap := share(t, fds[1])
	serve(t, l, &got, event, fds[0], word)
	require.NoError(t, l.Post(func() {})) // so that all of them have run
	parent.say(t, "ready")
	for i := range got {
		for sent := int64(parent.number(t)); got[i].Load() < sent; {
			runtime.Gosched()
		}
	}
	require.NoError(t, l.Close(forever)) // wakes that come too often have come by now
	for i := range got {
		parent.say(t, got[i].Load())
	}
	closeAll(fds[0], fds[1], event)
	unmap()
	before.check(t)
}

// serve runs a task that counts the wakes of each way except messages.
func serve(t require.TestingT, l *uringwake.Loop, got *[len(crossings)]atomic.Int64, event, pipe int, word *atomic.Uint32) {
	for i, wait := range []func(ctx context.Context, got int64) (more int64){
		1: func(ctx context.Context, _ int64) int64 { return int64(readCount(ctx, event)) },
		2: func(ctx context.Context, _ int64) int64 { return int64(readSome(ctx, pipe)) },
		3: func(ctx context.Context, got int64) int64 { return int64(changed(ctx, word, uint32(got))) - got },
	} {
		if wait == nil {
			continue
		}
		require.NoError(t, l.Go(forever, func(ctx context.Context) {
			for ctx.Err() == nil {
				got[i].Add(wait(ctx, got[i].Load()))
			}
		}))
	}
}

func readCount(ctx context.Context, event int) uint64 {
	var n uint64
	uringwake.Read(ctx, event, unsafe.Slice((*byte)(unsafe.Pointer(&n)), 8), -1)
	return n
}

func readSome(ctx context.Context, fd int) int {
	n, _ := uringwake.Read(ctx, fd, make([]byte, 4096), -1)
	return n
}

// changed waits until the word is not v, or ctx ends.
func changed(ctx context.Context, word *atomic.Uint32, v uint32) uint32 {
	for word.Load() == v && ctx.Err() == nil {
		if errors.Is(uringwake.FutexWait(ctx, word, v), errors.ErrUnsupported) {
			uringwake.TaskFrom(ctx).Park(ctx) // no waker wakes the task by this
		}
	}
	return word.Load()
}

// share maps the word at the start of a file.
func share(t require.TestingT, fd int) (word *atomic.Uint32, unmap func()) {
	m, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err)
	return (*atomic.Uint32)(unsafe.Pointer(&m[0])), func() { unix.Munmap(m) }
}

// crossings are the ways to wake another process. Each sends one wake.
var crossings = [...]struct {
	name string
	here func(a *aim) bool // whether this way exists
	wake func(ctx context.Context, a *aim) error
}{
	{"messages", func(a *aim) bool { return a.message != nil }, func(_ context.Context, a *aim) error {
		a.message.Wake()
		return a.message.Err()
	}},
	{"eventfd", always, func(ctx context.Context, a *aim) error {
		one := uint64(1)
		_, err := uringwake.Write(ctx, a.event, unsafe.Slice((*byte)(unsafe.Pointer(&one)), 8), -1)
		return err
	}},
	{"bytes", always, func(ctx context.Context, a *aim) error {
		_, err := uringwake.Write(ctx, a.pipe, []byte{1}, -1)
		return err
	}},
	{"futex", func(*aim) bool { return uringwake.HaveFutex() == nil }, func(ctx context.Context, a *aim) error {
		a.word.Add(1)
		_, err := uringwake.FutexWake(ctx, a.word, 1)
		return err
	}},
}

func always(*aim) bool { return true }

// An aim is a target as its parent sees it.
type aim struct {
	*child
	message *uringwake.MsgRing // nil if there are no messages
	event   int
	pipe    int
	word    *atomic.Uint32
	free    func()
}

// aimed starts a target.
func aimed(t *testing.T) *aim {
	t.Helper()
	a := &aim{child: start(t, "target")}
	number, theirs, err := a.hear()
	require.NoError(t, err, "the child: %s", &a.stderr)
	a.event = theirs[0]
	a.hold(number)
	r, w := pipe(t)
	file, err := unix.MemfdCreate("futex", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(file, int64(os.Getpagesize())))
	word, unmap := share(t, file)
	a.say(t, "fds", r, file)
	closeAll(r, file)
	a.pipe, a.word = w, word
	a.free = func() { closeAll(a.event, a.pipe); unmap() }
	a.expect("ready")
	return a
}

// hold creates the waker into the target's ring, if that is possible.
func (a *aim) hold(number string) {
	a.t.Helper()
	if err := uringwake.HaveMsgRing(); err != nil {
		a.t.Log("no messages: ", err)
		return
	}
	n, err := strconv.Atoi(number)
	require.NoError(a.t, err)
	fd, err := a.ring(n)
	if err != nil {
		a.t.Log("no messages: a child's ring cannot be had: ", err)
		return
	}
	a.message, err = uringwake.NewMsgRing(fd, 1, 2)
	require.NoError(a.t, err)
	closeAll(fd)
}

// letGo closes the waker into the target's ring.
func (a *aim) letGo() {
	a.t.Helper()
	if a.message != nil {
		require.NoError(a.t, a.message.Close())
	}
}

// close releases the parent's side of the target, which may be dead.
func (a *aim) close() {
	a.t.Helper()
	a.letGo()
	a.free()
}

// received tells the target how many wakes were sent in each way, and compares that
// with how many came.
func (a *aim) received(sent int) (all []counts) {
	a.t.Helper()
	for i, c := range crossings {
		all = append(all, counts{way: c.name})
		if c.here(a) {
			all[i].sent = sent
		}
		a.say(a.t, all[i].sent)
	}
	for i := range crossings {
		all[i].got = a.number()
	}
	a.ends()
	return all
}

// send sends n wakes in each way, half of them from a goroutine and half from a
// task, and passes each one's error to got.
func (a *aim) send(l *uringwake.Loop, n int, got func(i int, err error)) {
	half := func(ctx context.Context) int {
		for range n / 2 {
			for i, c := range crossings {
				if c.here(a) {
					got(i, c.wake(ctx, a))
				}
			}
		}
		return 0
	}
	fromTask := task(a.t, l, half)
	half(forever)
	fromTask()
}

// sent checks the errors of send while the target lives: there must be none.
func (a *aim) sent(i int, err error) { assert.NoError(a.t, err, crossings[i].name) }
