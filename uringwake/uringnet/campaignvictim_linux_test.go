package uringnet_test

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// act is the operation.
func (v *victim) act(ctx context.Context, p []byte) (n int64, err error) {
	var m int
	switch v.op {
	case "read":
		m, err = v.c.ReadContext(ctx, p[:100])
	case "write":
		m, err = v.c.WriteContext(ctx, p)
	case "writev":
		return v.c.WritevContext(ctx, [][]byte{p[:1000], p[1000:]})
	case "readfrom":
		f, err := os.Open(v.file)
		require.NoError(v.t, err)
		defer f.Close()
		return v.c.ReadFromContext(ctx, f)
	case "accept":
		var c *uringnet.Conn
		if c, err = v.l.AcceptContext(ctx); err == nil {
			m, err = 1, c.Close()
		}
	case "dial":
		return v.dial(ctx)
	}
	return int64(m), err
}

func (v *victim) dial(ctx context.Context) (int64, error) {
	network, to := "tcp", v.busy
	if v.end == byDone {
		network, to = "unix", v.l.Addr().String()
	}
	d := uringnet.Dialer{Control: v.control}
	switch {
	case v.end == byTime && v.state == starts:
		d.Deadline = past
	case v.end == byTime:
		d.Timeout = 10 * time.Millisecond
	}
	c, err := d.DialContext(ctx, network, to)
	if err != nil {
		return 0, err
	}
	return 1, c.Close()
}

// control takes note of the socket of a dial, which is closed here before it waits.
func (v *victim) control(_, _ string, c syscall.RawConn) error {
	v.dialed.Store(&c)
	if v.end == byClose && v.state == starts {
		return uringnet.CloseUnder(c)
	}
	return nil
}

// tear begins the end. n operations are to be completed.
func (v *victim) tear(n int) (wait func()) {
	switch v.end {
	case byDone:
		return v.complete(n)
	case byStop:
		v.cancel()
	case byTime:
		switch {
		case v.op == "accept":
			require.NoError(v.t, v.l.SetDeadline(past))
		case v.op != "dial":
			require.NoError(v.t, v.c.SetDeadline(past))
		}
	case byClose:
		require.NoError(v.t, v.close())
	case byPeer:
		if v.shut != nil {
			v.shut()
		} else {
			require.NoError(v.t, v.peer.Close())
		}
	case byLoop:
		done := make(chan struct{})
		go func() { defer close(done); v.w.loop.Close(bg) }()
		return func() { <-done }
	}
	return func() {}
}

func (v *victim) close() error {
	switch {
	case v.c != nil:
		return v.c.Close()
	case v.op == "accept":
		return v.l.Close()
	case v.state == waits:
		return uringnet.CloseUnder(*v.dialed.Load())
	}
	return nil // control does it
}

// complete lets n operations complete.
func (v *victim) complete(n int) (wait func()) {
	switch v.op {
	case "dial":
	case "accept":
		for range n {
			c, err := net.Dial("unix", v.l.Addr().String())
			require.NoError(v.t, err)
			defer c.Close()
		}
	case "read":
		done := make(chan struct{})
		go func() { // each reads all that is there
			defer close(done)
			for range n * 100 {
				v.peer.Write([]byte("x"))
			}
		}()
		return func() { <-done }
	default:
		done := make(chan struct{})
		go func() { defer close(done); io.CopyN(io.Discard, v.peer, int64(n*guardedSize)) }()
		return func() { v.peer.Close(); <-done }
	}
	return func() {}
}

// endFirst begins the end, and then the operation.
func (v *victim) endFirst() {
	wait := func() {}
	if v.end != byLoop {
		wait = v.tear(1)
	}
	v.w.do(func(ctx context.Context) {
		if v.end == byLoop {
			wait = v.tear(1)
			uringwake.Sleep(ctx, time.Hour)
		}
		v.n, v.err = v.act(v.under(ctx), v.memory.buf)
	})
	if v.op != "read" || v.end != byDone {
		defer wait()
	} else {
		wait()
	}
}

// under is ctx that v.cancel ends.
func (v *victim) under(ctx context.Context) context.Context {
	if v.end != byStop {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(v.ctx, cancel)
	if v.ctx.Err() != nil {
		cancel()
	}
	return ctx
}

// endLater begins the operation, maybe behind another one, and then the end.
func (v *victim) endLater() {
	n := 1
	var first <-chan struct{}
	if v.state == inLine {
		n = 2
		other := make([]byte, guardedSize)
		first = v.w.start(func(ctx context.Context) { v.act(ctx, other) })
		v.settle(0)
	}
	called := make(chan struct{})
	second := v.w.start(func(ctx context.Context) {
		ctx = v.under(ctx)
		close(called)
		v.n, v.err = v.act(ctx, v.memory.buf)
	})
	<-called
	v.settle(n - 1)
	wait := v.tear(n)
	<-second
	v.unblock()
	if first != nil {
		<-first
	}
	wait()
}

// settle waits until what was started sleeps, some of it in line: tasks when posted functions have run in two
// turns, between which its operation went to the kernel.
func (v *victim) settle(inLine int) {
	if v.op == "dial" {
		if v.end == byTime {
			return // it may have ended already
		}
		testkit.SpinUntil(func() bool { return v.dialed.Load() != nil })
	}
	if v.w.loop == nil {
		testkit.SpinUntil(func() bool {
			asleep, n := uringnet.Asleep(v.on(), v.op != "read" && v.op != "accept")
			return asleep && n == inLine
		})
		return
	}
	for range 2 {
		done := make(chan struct{})
		require.NoError(v.t, v.w.loop.Post(func() { close(done) }))
		<-done
	}
}

// on is what the operation is on.
func (v *victim) on() any {
	switch {
	case v.c != nil:
		return v.c
	case v.op == "dial":
		return *v.dialed.Load()
	}
	return v.l
}

// unblock ends the operation that was in front.
func (v *victim) unblock() {
	if v.state != inLine || v.end == byDone {
		return
	}
	if v.c != nil {
		v.c.SetDeadline(past)
	} else {
		v.l.SetDeadline(past)
	}
}

func (v *victim) check() {
	switch v.end {
	case byDone:
		require.NoError(v.t, v.err, v.transition)
		require.Positive(v.t, v.n, v.transition)
		return
	case byStop, byLoop:
		require.ErrorIs(v.t, v.err, context.Canceled, v.transition)
	case byTime:
		require.ErrorIs(v.t, v.err, os.ErrDeadlineExceeded, v.transition)
	case byClose:
		require.ErrorIs(v.t, v.err, net.ErrClosed, v.transition)
	case byPeer:
		v.checkPeerGone()
	}
	require.IsType(v.t, (*net.OpError)(nil), orOpError(v.err), v.transition)
	if v.c != nil && v.end != byClose && v.end != byPeer {
		v.worksOn()
	}
}

func orOpError(err error) error {
	if err == io.EOF {
		return new(net.OpError)
	}
	return err
}

func (v *victim) checkPeerGone() {
	switch v.op {
	case "read":
		require.Equal(v.t, io.EOF, v.err, v.transition)
	case "dial":
		require.ErrorIs(v.t, v.err, unix.ECONNREFUSED, v.transition)
	default:
		require.ErrorIs(v.t, v.err, unix.EPIPE, v.transition)
	}
}

// worksOn checks that no byte was lost, in goroutines: what the operation that has ended
// would have taken comes now, and what it counted has been sent.
func (v *victim) worksOn() {
	require.NoError(v.t, v.c.SetDeadline(time.Time{}))
	if v.op == "read" {
		require.Zero(v.t, v.n)
		_, err := v.peer.Write([]byte("y"))
		require.NoError(v.t, err)
		p := make([]byte, 10)
		n, err := v.c.Read(p)
		require.NoError(v.t, err)
		require.Equal(v.t, "y", string(p[:n]))
		return
	}
	require.NoError(v.t, v.c.Close())
	n, err := io.Copy(io.Discard, v.peer)
	require.NoError(v.t, err)
	if v.state != inLine {
		require.Equal(v.t, v.n, n, v.transition)
	}
}

func (v *victim) cleanUp() {
	v.cancel()
	if v.c != nil {
		v.c.Close()
		v.peer.Close()
	} else {
		v.l.Close()
	}
	if v.w.loop != nil {
		require.NoError(v.t, v.w.loop.Close(bg))
	}
}
