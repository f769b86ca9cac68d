package uringwake

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// unsupported is the error that something is not supported here, and why.
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

// A probe finds out by trying whether the kernel has something: yes; no, and why; or
// it could not tell this time. Only what is certain is remembered.
type probe struct {
	test   func() error // its error matches errors.ErrUnsupported if it is certain
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

// inconclusive returns err if it leaves open whether something is supported here.
func inconclusive(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// refusal is the error of a failed test: that what it tried is not supported, and why;
// or err, if that may not occur the next time.
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

func haveFutex() error {
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
	if _, err := submitOne(r); err != nil { // whatever its result is
		return setupError(err)
	}
	return testEventFD(r)
}

// setupError adds why the kernel refused to make a ring.
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

// trouble says what an errno of io_uring_enter means that does not occur with a ring of
// one's own while all is well.
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

// sysctl returns "0" if io_uring is allowed, "1" if it is for some processes, "2" if
// it is for none. Kernels before 6.6 have no such sysctl.
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

// submitOne submits what was prepared and waits for a completion.
func submitOne(r *ring.Ring) (ring.CQE, error) {
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
		c, err := submitOne(r)
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

// kernelProbe is what the kernel reports to have.
var kernelProbe atomic.Pointer[ring.Probe]

// kernelKnows reports whether the kernel has that operation, as far as a probe of the
// kernel says.
func kernelKnows(opcode uint8) bool {
	p := kernelProbe.Load()
	if p == nil {
		var err error
		if p, err = ring.GetProbe(); err != nil {
			return true // a trial will show
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

// setupShared makes a ring that any thread enters. Its task work must not wait for a
// thread to enter the kernel, as with cooperative task running.
func setupShared(entries, cq uint32) (*ring.Ring, error) {
	return setupFirst(entries, cq, ring.SetupSubmitAll|ring.SetupNoSQArray, ring.SetupSubmitAll /* 5.18 */, 0)
}
