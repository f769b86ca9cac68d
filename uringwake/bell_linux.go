package uringwake

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// Completions of a doorbell: they only end the wait.
const (
	pollData    = ours | kindDoorbell | 1 // the eventfd was written to, or its poll has ended
	messageData = ours | kindDoorbell | 2 // a message came
	disarmData  = ours | kindDoorbell | 3 // an older poll was removed, or there was none
)

// nextPoll names the poll after that one: each has a generation of its own.
func nextPoll(u userData) userData { return pollData | (u+1<<32)&(generations<<32) }

// bell is how a sleeping loop is woken. There is always an eventfd, so that a
// message that cannot be sent has something to fall back on.
type bell struct {
	kind    Doorbell // DoorbellEventFD or DoorbellMsgRing
	eventFD int
	ringFD  int
	direct  bool     // messages can be sent without a ring
	message ring.SQE // what is sent then; the kernel only reads it
}

func (b *bell) open(ringFD int, kind Doorbell) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // it blocks, but is never full
	if err != nil {
		return &ring.Error{Call: "eventfd", Errno: errnoOf(err)}
	}
	b.kind, b.eventFD, b.ringFD = kind, fd, ringFD
	if b.kind, b.direct, err = chosen(kind); err != nil {
		b.close()
		return err
	}
	b.message.PrepMsgRing(ringFD, 0, uint64(messageData), 0)
	return nil
}

// chosen is the doorbell that was asked for, as far as the kernel has it, and
// whether messages can be sent without a ring.
func chosen(kind Doorbell) (_ Doorbell, direct bool, err error) {
	if kind == DoorbellAuto {
		kind = fasterDoorbell()
	}
	if kind == DoorbellEventFD {
		return kind, false, nil
	}
	if err := HaveMsgRing(); err != nil {
		return DoorbellEventFD, false, inconclusive(err)
	}
	err = HaveSendMsgRing()
	return kind, err == nil, inconclusive(err)
}

// ring makes one system call, or two where a message was refused.
func (b *bell) ring() {
	if b.direct && ring.SendMsgRing(&b.message) == nil {
		return
	}
	writeEventFD(b.eventFD, 1)
}

// listen has the ring's completions ring the bell, too; and work that is deferred,
// which a poll of the ring's own descriptor sleeps through (Linux 6.18).
func (b *bell) listen(r *ring.Ring) error {
	if r.Features()&ring.FeatCQESkip == 0 { // as in 5.15, where it waits for all that is in flight
		return unix.EBUSY
	}
	err := r.Registrar().RegisterEventFD(b.eventFD)
	if errnoOf(err) == unix.EBUSY { // it does already
		return nil
	}
	return err
}

// await blocks until somebody has rung, or there is a completion, and takes the
// ring. A signal ends it, too.
func (b *bell) await() {
	fds := [2]unix.PollFd{{Fd: int32(b.eventFD), Events: unix.POLLIN}, {Fd: int32(b.ringFD), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds[:], -1); n > 0 && err == nil && fds[0].Revents&unix.POLLIN != 0 {
		var rings [8]byte
		unix.Read(b.eventFD, rings[:])
	}
}

func (b *bell) close() { unix.Close(b.eventFD) }

// writeEventFD adds n to the counter. It does not tell the scheduler: the call
// does not block unless the counter is full, and a doorbell's never is: nobody else
// has its descriptor.
func writeEventFD(fd int, n uint64) {
	unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&n)), unsafe.Sizeof(n))
}

// ringFrom sends the message as one of the submissions that another loop, on
// whose thread this runs, has to make anyway, and makes them now.
func (l *Loop) ringFrom(from *Loop) {
	o := from.newOp()
	o.sqe = l.bell.message
	r := &ringing{from: from, to: l, op: o, counted: true}
	o.waker = r
	from.launch(o)
	from.enter(0)
	if o.state == submitted && from.sq.Ready() == 0 {
		// The kernel has the ring itself now, and no longer its number.
		r.counted = false
		l.door.hangUp()
	}
}

// ringing is the ring of one loop by another's submission, until that has
// completed.
type ringing struct {
	from, to *Loop
	op       *op
	counted  bool // among the door's ringers
}

// Wake runs on the ringer's thread when the message was sent, or was not.
func (r *ringing) Wake() {
	if r.op.res < 0 && (r.counted || r.to.door.visit()) {
		r.counted = true
		writeEventFD(r.to.bell.eventFD, 1)
	}
	if r.counted {
		r.to.door.hangUp()
	}
	r.from.release(r.op)
}

// deliver leaves m, and rings if the loop sleeps and nobody else has. It
// reports false if the loop is gone.
func (l *Loop) deliver(m *mail) bool {
	if !l.mailbox.push(m) {
		return false
	}
	yield.At(yield.LoopMailed)
	if l.door.claim() {
		yield.At(yield.LoopClaimed)
		l.ringBell()
	}
	return true
}

func (l *Loop) ringBell() {
	if l.bell.kind == DoorbellMsgRing {
		if from := threads.current(); from != nil && from.sq.Ready() > 0 {
			l.ringFrom(from)
			return
		}
	}
	l.rings.Add(1) // the other way is among the ringer's own enters
	l.bell.ring()
	l.door.hangUp()
}

// threads knows which OS threads run loops.
var threads registry

// registry is read on every ring and written when a loop starts or ends.
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

// add enters l, on its thread.
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
		yield.At(yield.LoopThreads)
		l := onCurrentThread(*list)
		// The caller may have gone to the thread of a loop that has ended
		// since: the list is another one then.
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

// ownRing reports whether fd is a ring of a loop of this process, or of its
// goroutines, whatever number it has there.
func ownRing(fd int) bool {
	id := fileOf(fd)
	if id == (fileID{}) {
		return false
	}
	d := defaultDriver.made.Load()
	return threads.has(id) || d != nil && fileOf(d.ring.FD()) == id
}

// A fileID tells files apart, rings since Linux 5.16. The zero value is none.
type fileID struct{ device, inode uint64 }

func fileOf(fd int) fileID {
	var s unix.Stat_t
	if unix.Fstat(fd, &s) != nil {
		return fileID{}
	}
	return fileID{uint64(s.Dev), s.Ino}
}
