package uringwake

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// unsupported is why something is not to be had here.
type unsupported struct {
	what, why string
	err       error // may be nil
}

func (u *unsupported) Error() string {
	s := "uringwake: " + u.what + ": " + u.why
	if u.err != nil {
		s += ": " + u.err.Error()
	}
	return s
}

func (u *unsupported) Unwrap() []error { return []error{errors.ErrUnsupported, u.err} }

// A probe finds out, by doing, whether the kernel has something: yes, no and
// why, or that it could not tell this time. Only what is certain is remembered.
type probe struct {
	test   func() error // nil, or an error that matches errors.ErrUnsupported, or that it could not tell
	answer atomic.Pointer[error]
}

func (p *probe) ask() error {
	if err := p.answer.Load(); err != nil {
		return *err
	}
	err := p.test()
	if inconclusive(err) == nil {
		p.answer.Store(&err)
	}
	return err
}

// inconclusive returns err if it leaves open whether something is to be had here.
func inconclusive(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// refusal is the error of a test that has failed: that what it tried is not to be
// had, and why; or err, if that may be another one next time.
func refusal(what, why string, err error) error {
	switch errnoOf(err) {
	case unix.ENOMEM, unix.EAGAIN, unix.EBUSY, unix.EINTR, unix.ECANCELED, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.EOVERFLOW:
		return err
	}
	return &unsupported{what, why, err}
}

var (
	supported   = probe{test: testSupported}
	msgRing     = probe{test: testMsgRing}
	sendMsgRing = probe{test: testSendMsgRing}
)

// Supported returns nil if loops and operations work here, and else an error
// that tells why not and matches errors.ErrUnsupported: the kernel has no such
// system call, a sysctl or a seccomp filter forbids it, or the kernel is too
// old, and for what. Linux 5.13 is the first that will do. An error that does not
// match, such as a lack of file descriptors, may be another one next time.
//
// Where single operations are refused, Supported returns nil: those fall back on
// something else, or fail with an error that matches errors.ErrUnsupported.
func Supported() error { return supported.ask() }

// HaveMsgRing returns nil if rings can send messages to each other
// (IORING_OP_MSG_RING, Linux 5.18), and else why not, as [Supported] does.
func HaveMsgRing() error { return msgRing.ask() }

// HaveSendMsgRing returns nil if messages can be sent to a ring without having
// one (IORING_REGISTER_SEND_MSG_RING, Linux 6.13), and else why not, as
// [Supported] does.
func HaveSendMsgRing() error { return sendMsgRing.ask() }

// HaveFutex returns nil if [FutexWait] works here (IORING_OP_FUTEX_WAIT, Linux
// 6.7), and else why not, as [Supported] does. [FutexWake] needs [Supported] only.
func HaveFutex() error {
	if err := Supported(); err != nil {
		return err
	}
	return trials[ring.OpFutexWait].ask()
}

func testSupported() error {
	r, err := ring.Setup(4, nil)
	if err != nil {
		return setupError(err)
	}
	defer r.Close()
	for _, need := range []struct {
		feature uint32
		why     string
	}{
		{ring.FeatNoDrop, "the kernel is too old: completions may be lost (5.5 keeps them)"},
		{ring.FeatExtArg, "the kernel is too old: no timed waits (5.11 has them)"},
		{ring.FeatRsrcTags, "the kernel is older than 5.13"}, // which has multishot poll, too
	} {
		if r.Features()&need.feature == 0 {
			return &unsupported{"io_uring", need.why, nil}
		}
	}
	r.SQ().GetSQE().PrepNop()
	if _, err := one(r); err != nil { // whatever comes of it
		return setupError(err)
	}
	return testEventFD(r)
}

// setupError says what is behind the refusal to make a ring.
func setupError(err error) error {
	e := errnoOf(err)
	switch {
	case e == unix.ENOSYS && !filtered():
		return &unsupported{"io_uring", "no such system call: the kernel is older than 5.1, or built without it", err}
	case e == unix.EPERM && sysctl() != "0":
		return &unsupported{"io_uring", "forbidden by the sysctl kernel.io_uring_disabled = " + sysctl(), err}
	case (e == unix.ENOSYS || e == unix.EPERM || e == unix.EACCES) && filtered():
		return &unsupported{"io_uring", "refused by this process's seccomp filter", err}
	case e == unix.EPERM || e == unix.EACCES:
		return &unsupported{"io_uring", "refused by a security module", err}
	case e == unix.ENOMEM:
		return fmt.Errorf("uringwake: no ring: no memory, or more than this user may lock (RLIMIT_MEMLOCK): %w", err)
	}
	return fmt.Errorf("uringwake: no ring: %w", err)
}

// trouble says what an errno of io_uring_enter means that a ring of one's own
// never gives while all is well.
func trouble(e unix.Errno) string {
	switch {
	case e == unix.EBADR:
		return "the kernel had no memory for completions and has lost some: there are operations that would never end"
	case e == unix.EBADF || e == unix.EOPNOTSUPP || e == unix.ENXIO:
		return "somebody has closed a ring's file descriptor"
	case e == unix.EEXIST:
		return "a ring was entered by a thread that it does not belong to"
	case filtered():
		return "the kernel has made a ring and refuses to serve it (a seccomp filter that came late?)"
	}
	return "the kernel has made a ring and refuses to serve it"
}

// sysctl is 0: allowed; 1: for some; 2: for nobody. Kernels before 6.6 have none.
func sysctl() string {
	b, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	if err != nil {
		return "0"
	}
	return strings.TrimSpace(string(b))
}

// filtered reports whether this process runs under a seccomp filter.
func filtered() bool {
	b, err := os.ReadFile("/proc/self/status")
	return err == nil && strings.Contains(string(b), "\nSeccomp:\t2")
}

// testEventFD registers an eventfd, as goroutines need it.
func testEventFD(r *ring.Ring) error {
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		return &ring.Error{Call: "eventfd", Errno: errnoOf(err)}
	}
	defer unix.Close(fd)
	if err := r.Registrar().RegisterEventFD(fd); err != nil {
		return setupError(err)
	}
	return nil
}

// one submits what was prepared and waits for a completion.
func one(r *ring.Ring) (ring.CQE, error) {
	for {
		if _, err := r.SQ().SubmitAndWait(1); err != nil && !errors.Is(err, unix.EINTR) {
			return ring.CQE{}, err
		}
		if c := r.CQ().Peek(); c != nil {
			defer r.CQ().Seen()
			return *c, nil
		}
	}
}

// testMsgRing has a ring send a message to itself.
func testMsgRing() error {
	if err := Supported(); err != nil {
		return err
	}
	r, err := ring.Setup(4, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	s := r.SQ().GetSQE()
	s.PrepMsgRing(r.FD(), 0, 1, 0)
	s.UserData = 2
	for {
		c, err := one(r)
		if err != nil {
			return err
		}
		if c.UserData == 1 { // the message; its own completion may come after
			return nil
		}
		if c.Res < 0 {
			return refusal("messages between rings", "the kernel is older than 5.18, or refuses them", c.Err())
		}
	}
}

// testSendMsgRing sends a message to a ring.
func testSendMsgRing() error {
	if err := Supported(); err != nil {
		return err
	}
	r, err := ring.Setup(4, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	var s ring.SQE
	s.PrepMsgRing(r.FD(), 0, 1, 0)
	if err := ring.SendMsgRing(&s); err != nil {
		return refusal("messages without a ring", "the kernel is older than 6.13, or refuses them", err)
	}
	return nil
}

// kernelProbe is what the running kernel says it knows.
var kernelProbe atomic.Pointer[ring.Probe]

// kernelKnows reports whether the kernel has that operation.
func kernelKnows(opcode uint8) bool {
	p := kernelProbe.Load()
	if p == nil {
		var err error
		if p, err = ring.GetProbe(); err != nil {
			return true // it cannot tell: its other answers stand
		}
		kernelProbe.Store(p)
	}
	return p.Supported(opcode)
}

// setupFirst makes a ring with the first of these flags that the kernel takes.
func setupFirst(entries, cq uint32, flags ...uint32) (*ring.Ring, error) {
	var last error
	for _, f := range flags {
		r, err := ring.Setup(entries, &ring.Params{Flags: f | ring.SetupCQSize | ring.SetupClamp, CQEntries: max(cq, entries)})
		if err == nil {
			return r, nil
		}
		if last = setupError(err); errnoOf(err) != unix.EINVAL {
			break
		}
	}
	return nil, last
}

// setupOwned makes a ring for one thread: this one.
func setupOwned(entries, cq uint32) (*ring.Ring, error) {
	const (
		d    = ring.SetupSingleIssuer | ring.SetupDeferTaskrun | ring.SetupTaskrunFlag | ring.SetupSubmitAll // 6.1
		coop = ring.SetupCoopTaskrun | ring.SetupTaskrunFlag | ring.SetupSubmitAll                           // 5.19
	)
	return setupFirst(entries, cq, d|ring.SetupNoSQArray /* 6.6 */, d, coop, 0)
}

// setupShared makes a ring that any thread enters. It must not wait for one
// of them to come by, as cooperative task running does.
func setupShared(entries, cq uint32) (*ring.Ring, error) {
	return setupFirst(entries, cq, ring.SetupSubmitAll|ring.SetupNoSQArray, ring.SetupSubmitAll /* 5.18 */, 0)
}

var faster struct {
	sync.Mutex
	doorbell Doorbell // DoorbellAuto until it is known
}

// fasterDoorbell measures both doorbells once, on a ring of its own that nobody
// waits on. What goes wrong is not remembered.
func fasterDoorbell() Doorbell {
	faster.Lock()
	defer faster.Unlock()
	if faster.doorbell == DoorbellAuto {
		faster.doorbell = compareDoorbells()
	}
	return max(faster.doorbell, DoorbellEventFD)
}

func compareDoorbells() Doorbell {
	if err := HaveSendMsgRing(); inconclusive(err) != nil {
		return DoorbellAuto
	} else if err != nil {
		return DoorbellEventFD
	}
	switch event, message, err := measureDoorbells(); {
	case err != nil:
		return DoorbellAuto
	case message < event:
		return DoorbellMsgRing
	}
	return DoorbellEventFD
}
