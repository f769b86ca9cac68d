package uringwake

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// The user data of a doorbell's completions, which only end the wait.
const (
	pollData    = ours | kindDoorbell | 1 // the eventfd was written to, or its poll has ended
	messageData = ours | kindDoorbell | 2 // a message came
	disarmData  = ours | kindDoorbell | 3 // an older poll was removed, or there was none
)

// nextPoll is the name of the poll after u: each has a generation of its own.
func nextPoll(u userData) userData { return pollData | (u+1<<32)&(generations<<32) }

// bell wakes a sleeping loop. It always has an eventfd, which is used if a message
// cannot be sent.
type bell struct {
	kind    Doorbell // DoorbellEventFD or DoorbellMsgRing
	eventFD int
	ringFD  int
	sendMsg bool     // messages can be sent without a ring
	message ring.SQE // what is sent then; the kernel only reads it
}

// open makes the doorbell of the ring ringFD. kind and sendMsg are
// resolveDoorbell's.
func (b *bell) open(ringFD int, kind Doorbell, sendMsg bool) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // it blocks, but is never full
	if err != nil {
		return &ring.Error{Call: "eventfd", Errno: errnoOf(err)}
	}
	*b = bell{kind: kind, eventFD: fd, ringFD: ringFD, sendMsg: sendMsg}
	b.message.PrepMsgRing(ringFD, 0, uint64(messageData), 0)
	return nil
}

// signal makes one system call, or two if a message was refused.
func (b *bell) signal() {
	if b.sendMsg && ring.SendMsgRing(&b.message) == nil {
		return
	}
	writeEventFD(b.eventFD, 1)
}

// listen has the ring's completions signal the bell too, and with them task work
// that is deferred, which does not wake a poll of the ring's own descriptor (Linux
// 6.18).
func (b *bell) listen(r *ring.Ring) error {
	if r.Features()&ring.FeatCQESkip == 0 { // as in 5.15, where it waits for all that is in flight
		return unix.EBUSY
	}
	err := r.Registrar().RegisterEventFD(b.eventFD)
	if errnoOf(err) == unix.EBUSY { // it is registered already
		return nil
	}
	return err
}

// await blocks until the bell was signaled or there is a completion, and resets the
// eventfd. An OS signal ends it too.
func (b *bell) await() {
	fds := [2]unix.PollFd{{Fd: int32(b.eventFD), Events: unix.POLLIN}, {Fd: int32(b.ringFD), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds[:], -1); n > 0 && err == nil && fds[0].Revents&unix.POLLIN != 0 {
		var count [8]byte
		unix.Read(b.eventFD, count[:])
	}
}

func (b *bell) close() { unix.Close(b.eventFD) }

// writeEventFD adds n to the counter. It does not tell the scheduler: the call
// blocks only if the counter is full, and a doorbell's never is, since its
// descriptor is not shared.
func writeEventFD(fd int, n uint64) {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&n)), unsafe.Sizeof(n))
}

// signalFrom sends the message as one of the submissions that another loop, on
// whose thread this runs, has to make anyway, and makes them now.
func (l *Loop) signalFrom(from *Loop) {
	o := from.newOp()
	o.sqe = l.bell.message
	s := &relayedSignal{from: from, to: l, op: o, counted: true}
	o.waker = s
	from.launch(o)
	from.enter(0)
	if o.state == submitted && from.sq.Ready() == 0 {
		// The kernel holds the ring itself now, and no longer needs its descriptor.
		s.counted = false
		l.door.endSignal()
	}
}

// relays reports whether a message that l submits goes to the kernel with l's next enter.
func (l *Loop) relays() bool { return l.limit == 0 || l.hasRoom() && l.backlog.ops.empty() }

// relayedSignal is the signal to one loop by a submission of another, until that
// has completed.
type relayedSignal struct {
	from, to *Loop
	op       *op
	counted  bool // among the door's signalers
}

// Wake runs on from's thread when the message was sent, or was refused.
func (s *relayedSignal) Wake() {
	if s.op.res < 0 && (s.counted || s.to.door.beginSignal()) {
		s.counted = true
		writeEventFD(s.to.bell.eventFD, 1)
	}
	if s.counted {
		s.to.door.endSignal()
	}
	s.from.release(s.op)
}

// deliver puts m into the mailbox, and signals if the loop sleeps and no other
// waker has. It reports false if the loop is gone.
func (l *Loop) deliver(m *mail) bool {
	if !l.mailbox.push(m) {
		return false
	}
	schedpoint.At(schedpoint.LoopMailed)
	if l.door.claim() {
		schedpoint.At(schedpoint.LoopClaimed)
		l.signal()
	}
	return true
}

// signal wakes the loop. The caller has claimed that.
func (l *Loop) signal() {
	if l.bell.kind == DoorbellMsgRing {
		if from := threads.current(); from != nil && from.sq.Ready() > 0 && from.relays() {
			l.signalFrom(from)
			return
		}
	}
	l.doorbells.Add(1) // the other way is among from's own enters
	l.bell.signal()
	l.door.endSignal()
}

// threads lists the OS threads that run loops.
var threads registry

// registry is read on every signal, and written when a loop starts or ends.
type registry struct {
	mu   sync.Mutex
	list atomic.Pointer[[]onThread]
}

type onThread struct {
	tid  int
	loop *Loop
	ring fileID
}

func (r *registry) change(f func([]onThread) []onThread) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var old []onThread
	if p := r.list.Load(); p != nil {
		old = *p
	}
	list := f(slices.Clone(old))
	r.list.Store(&list)
}

// add adds l. It runs on l's thread.
func (r *registry) add(l *Loop) {
	t := onThread{unix.Gettid(), l, fileOf(l.bell.ringFD)}
	r.change(func(list []onThread) []onThread { return append(list, t) })
}

func (r *registry) remove(l *Loop) {
	r.change(func(list []onThread) []onThread {
		return slices.DeleteFunc(list, func(t onThread) bool { return t.loop == l })
	})
}

// current returns the loop whose thread this is, or nil.
func (r *registry) current() *Loop {
	for {
		list := r.list.Load()
		if list == nil || len(*list) == 0 {
			return nil
		}
		schedpoint.At(schedpoint.LoopThreads)
		l := onCurrentThread(*list)
		// The caller may have moved to the thread of a loop that has ended
		// since: then the list is another one.
		if l == nil || r.list.Load() == list {
			return l
		}
	}
}

func onCurrentThread(list []onThread) *Loop {
	tid, _, _ := unix.RawSyscall(unix.SYS_GETTID, 0, 0, 0)
	for _, t := range list {
		if t.tid == int(tid) {
			return t.loop
		}
	}
	return nil
}

// has reports whether a loop's ring is that file.
func (r *registry) has(ring fileID) bool {
	list := r.list.Load()
	return list != nil && slices.ContainsFunc(*list, func(t onThread) bool { return t.ring == ring })
}

// ownRing reports whether fd is the ring of a loop of this process, or of its
// goroutines, whatever its number is there.
func ownRing(fd int) bool {
	id := fileOf(fd)
	if id == (fileID{}) {
		return false
	}
	d := defaultDriver.made.Load()
	return threads.has(id) || d != nil && fileOf(d.ring.FD()) == id
}

// A fileID identifies a file; a ring since Linux 5.16. The zero value is no file.
type fileID struct{ device, inode uint64 }

func fileOf(fd int) fileID {
	var s unix.Stat_t
	if unix.Fstat(fd, &s) != nil {
		return fileID{}
	}
	return fileID{uint64(s.Dev), s.Ino}
}
