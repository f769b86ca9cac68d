package ring_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func opNop(g *rig) { require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepNop() })) }

func opPoll(g *rig) {
	r, w := pipe(g)
	require.EqualValues(g, unix.POLLOUT, g.ok(func(s *ring.SQE) { s.PrepPollAdd(w, unix.POLLOUT) }))
	data := g.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
	removed := g.prep(func(s *ring.SQE) { s.PrepPollRemove(data) })
	g.submit()
	done := g.drain(2)
	require.Zero(g, done[removed].Res)
	require.Equal(g, unix.ECANCELED, errno(done[data]))
	require.Equal(g, unix.ENOENT, errno(g.do(func(s *ring.SQE) { s.PrepPollRemove(data) })))
}

func TestPollMultishot(t *testing.T) {
	g := newRig(t, nil)
	if g.r.Features()&ring.FeatRsrcTags == 0 {
		t.Skip("needs Linux 5.13")
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	closed(t, fd)
	data := g.prep(func(s *ring.SQE) { s.PrepPollMultishot(fd, unix.POLLIN) })
	g.submit()
	for range 3 {
		_, err := unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		require.NoError(t, err)
		c := g.waitFor(data)
		require.EqualValues(t, unix.POLLIN, c.Res)
		require.True(t, c.More())
	}
	g.cancel(data)
}

// The new events have not come yet when the update does, but for the multishot
// poll: see [ring.SQE.PrepPollUpdate].
func TestPollUpdate(t *testing.T) {
	g := newRig(t, nil)
	if g.r.Features()&ring.FeatRsrcTags == 0 {
		t.Skip("needs Linux 5.13")
	}
	r, w := pipe(t)
	const renamed, flags = 1000, ring.PollUpdateEvents | ring.PollUpdateUserData
	old := g.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLPRI) })
	g.submit()
	require.Zero(t, g.ok(func(s *ring.SQE) { s.PrepPollUpdate(old, renamed, unix.POLLIN, flags) }))
	_, err := unix.Write(w, []byte("x"))
	require.NoError(t, err)
	require.EqualValues(t, unix.POLLIN, g.waitFor(renamed).Res, "it has another name, and waits for another event")

	old = g.prep(func(s *ring.SQE) { s.PrepPollMultishot(r, unix.POLLPRI) })
	updated := g.prep(func(s *ring.SQE) { s.PrepPollUpdate(old, renamed, unix.POLLIN, flags|ring.PollAddMulti) })
	g.submit()
	done := g.drain(2)
	require.Zero(t, done[updated].Res)
	require.EqualValues(t, unix.POLLIN, done[renamed].Res)
	g.cancel(renamed)
}

func opEpollCtl(g *rig) {
	ep, r, w := epoll(g)
	event := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 77}
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepEpollCtl(ep, r, unix.EPOLL_CTL_ADD, event) }))
	_, err := unix.Write(w, []byte("x"))
	require.NoError(g, err)
	events := make([]unix.EpollEvent, 4)
	n, err := unix.EpollWait(ep, events, -1)
	require.NoError(g, err)
	require.Equal(g, 1, n)
	require.EqualValues(g, 77, events[0].Fd)
}

func epoll(t testing.TB) (ep, r, w int) {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	r, w = pipe(t)
	return closed(t, ep), r, w
}

func opEpollWait(g *rig) {
	ep, r, w := epoll(g)
	require.NoError(g, unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, r, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 78}))
	events := make([]unix.EpollEvent, 4)
	data := g.prep(func(s *ring.SQE) { s.PrepEpollWait(ep, events, 0) })
	g.submit()
	g.quiet()
	_, err := unix.Write(w, []byte("x"))
	require.NoError(g, err)
	c := g.waitFor(data)
	require.NoError(g, c.Err())
	require.EqualValues(g, 1, c.Res)
	require.EqualValues(g, 78, events[0].Fd)
}

func opCancel(g *rig) {
	r, _ := pipe(g)
	g.cancel(g.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) }))
	require.Equal(g, unix.ENOENT, errno(g.do(func(s *ring.SQE) { s.PrepCancel64(12345, 0) })))
}

func TestCancelByKey(t *testing.T) {
	needOp(t, ring.OpFutexWait) // of a kernel that has all keys
	tests := map[string]func(s *ring.SQE, fd int){
		"file":      func(s *ring.SQE, fd int) { s.PrepCancelFD(fd, ring.AsyncCancelAll) },
		"any":       func(s *ring.SQE, _ int) { s.PrepCancelAny(ring.AsyncCancelAll) },
		"operation": func(s *ring.SQE, _ int) { s.PrepCancelOp(ring.OpPollAdd, ring.AsyncCancelAll) },
	}
	for name, prep := range tests {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			r, _ := pipe(t)
			for range 2 {
				g.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
			}
			canceled := g.prep(func(s *ring.SQE) { prep(s, r) })
			g.submit()
			done := g.drain(3)
			require.EqualValues(t, 2, done[canceled].Res, "how many")
			delete(done, canceled)
			for _, c := range done {
				require.Equal(t, unix.ECANCELED, errno(c))
			}
		})
	}
}

func opTimeout(g *rig) {
	t := soon()
	require.Equal(g, unix.ETIME, errno(g.do(func(s *ring.SQE) { s.PrepTimeout(t, 0, 0) })))
	past := &ring.Timespec{Sec: 1}
	require.Equal(g, unix.ETIME, errno(g.do(func(s *ring.SQE) { s.PrepTimeout(past, 0, ring.TimeoutAbs) })))

	long := never()
	counted := g.prep(func(s *ring.SQE) { s.PrepTimeout(long, 1, 0) })
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	require.Zero(g, g.drain(2)[counted].Res, "one other completed")

	data := g.prep(func(s *ring.SQE) { s.PrepTimeout(long, 0, 0) })
	removed := g.prep(func(s *ring.SQE) { s.PrepTimeoutRemove(data, 0) })
	g.submit()
	done := g.drain(2)
	require.Zero(g, done[removed].Res)
	require.Equal(g, unix.ECANCELED, errno(done[data]))
}

func TestTimeoutUpdate(t *testing.T) {
	g := newRig(t, nil)
	if g.r.Features()&ring.FeatExtArg == 0 {
		t.Skip("needs Linux 5.11")
	}
	long, short := never(), soon()
	data := g.prep(func(s *ring.SQE) { s.PrepTimeout(long, 0, 0) })
	updated := g.prep(func(s *ring.SQE) { s.PrepTimeoutUpdate(short, data, 0) })
	g.submit()
	done := g.drain(2)
	require.Zero(t, done[updated].Res)
	require.Equal(t, unix.ETIME, errno(done[data]))
}

func TestTimeoutMultishot(t *testing.T) {
	needOp(t, ring.OpFutexWait) // of a later kernel
	g := newRig(t, nil)
	every := soon()
	data := g.prep(func(s *ring.SQE) { s.PrepTimeout(every, 3, ring.TimeoutMultishot) })
	g.submit()
	for i := range 3 {
		c := g.waitFor(data)
		require.Equal(t, unix.ETIME, errno(c))
		require.Equal(t, i < 2, c.More())
	}
}

func opLinkTimeout(g *rig) {
	r, _ := pipe(g)
	t := soon()
	p := make([]byte, 1)
	data := g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0); s.SetLink() })
	timeout := g.prep(func(s *ring.SQE) { s.PrepLinkTimeout(t, 0) })
	g.submit()
	done := g.drain(2)
	require.Equal(g, unix.ECANCELED, errno(done[data]))
	require.Contains(g, []unix.Errno{unix.ETIME, unix.EALREADY}, errno(done[timeout]))
}
