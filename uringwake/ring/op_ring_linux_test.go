package ring_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// buffers are provided ones.
type buffers struct {
	ring *ring.BufRing
	bufs [][]byte
}

// provide passes n buffers of a group to the kernel.
func provide(g *rig, n, size int, group uint16) *buffers {
	g.Helper()
	br, err := g.r.Registrar().SetupBufRing(uint32(n), group, 0)
	skipUnsupported(g, err, "RegisterPbufRing")
	require.NoError(g, err)
	b := &buffers{ring: br}
	for i := range n {
		b.bufs = append(b.bufs, make([]byte, size))
		br.Add(b.bufs[i], uint16(i))
	}
	br.Advance()
	return b
}

// taken is what a completion put into a buffer, which goes back.
func (b *buffers) taken(g *rig, c ring.CQE) string {
	g.Helper()
	id, ok := c.BufferID()
	require.True(g, ok, "a buffer was taken")
	text := string(b.bufs[id][:c.Res])
	b.ring.Add(b.bufs[id], id)
	b.ring.Advance()
	return text
}

func opProvide(g *rig) {
	memory := make([]byte, 3*8)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepProvideBuffers(memory, 8, 3, 5, 10) }))
	r, w := pipe(g)
	_, err := unix.Write(w, []byte("given"))
	require.NoError(g, err)
	c := g.do(func(s *ring.SQE) {
		s.PrepRead(r, nil, 0)
		s.Len = 8
		s.SetBufferGroup(5)
	})
	require.NoError(g, c.Err())
	id, ok := c.BufferID()
	require.True(g, ok)
	require.GreaterOrEqual(g, id, uint16(10))
	at := 8 * int(id-10)
	require.Equal(g, "given", string(memory[at:at+5]))
	require.Equal(g, 2, g.ok(func(s *ring.SQE) { s.PrepRemoveBuffers(2, 5) }))
}

func opMsgRing(g *rig) {
	to := newRig(g.T, nil)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepMsgRing(to.r.FD(), 7, 99, 0) }))
	c := to.waitFor(99)
	require.EqualValues(g, 7, c.Res)
}

func TestMsgRingPassesFlags(t *testing.T) {
	needOp(t, ring.OpFutexWait) // of a later kernel
	g, to := newRig(t, nil), newRig(t, nil)
	require.Zero(t, g.ok(func(s *ring.SQE) { s.PrepMsgRingFlags(to.r.FD(), 1, 99, 0, 0x40) }))
	require.EqualValues(t, 0x40, to.waitFor(99).Flags)
}

func TestMsgRingPassesFile(t *testing.T) {
	needOp(t, ring.OpSendZC) // of the same kernel
	g, to := newRig(t, nil), newRig(t, nil)
	require.NoError(t, g.r.Registrar().RegisterFiles([]int32{-1, int32(tempFile(t, "passed"))}))
	require.NoError(t, to.r.Registrar().RegisterFilesSparse(4))
	require.Zero(t, g.ok(func(s *ring.SQE) { s.PrepMsgRingFD(to.r.FD(), 1, 2, 99, 0) }))
	to.waitFor(99)
	p := make([]byte, 16)
	require.Equal(t, 6, to.ok(func(s *ring.SQE) { s.PrepRead(2, p, 0); s.SetFixedFile() }))

	g.ok(func(s *ring.SQE) { s.PrepMsgRingFD(to.r.FD(), 1, ring.FileIndexAlloc, 100, ring.MsgRingCQESkip) })
	to.quiet()
}

func TestSendMsgRing(t *testing.T) {
	g := newRig(t, nil)
	var s ring.SQE
	s.PrepMsgRing(g.r.FD(), 5, 99, 0)
	err := ring.SendMsgRing(&s)
	skipUnsupported(t, err, "RegisterSendMsgRing")
	require.NoError(t, err)
	require.EqualValues(t, 5, g.waitFor(99).Res)
	s.PrepMsgRing(-1, 5, 99, 0)
	require.ErrorIs(t, ring.SendMsgRing(&s), unix.EBADF)
}

const (
	futexAny = 1<<32 - 1 // mask
	futex32  = 2         // FUTEX2_SIZE_U32
	private  = 128       // FUTEX2_PRIVATE
)

func opFutex(g *rig) {
	word := new(uint32)
	*word = 5
	require.Equal(g, unix.EAGAIN, errno(g.do(func(s *ring.SQE) { s.PrepFutexWait(word, 4, futexAny, futex32|private, 0) })))
	waits := g.prep(func(s *ring.SQE) { s.PrepFutexWait(word, 5, futexAny, futex32|private, 0) })
	g.submit()
	g.quiet()
	woken := g.prep(func(s *ring.SQE) { s.PrepFutexWake(word, 1, futexAny, futex32|private, 0) })
	g.submit()
	done := g.drain(2)
	require.EqualValues(g, 1, done[woken].Res)
	require.Zero(g, done[waits].Res)
}

func opFutexWaitv(g *rig) {
	words := new([2]uint32)
	v := make([]ring.FutexWaitv, 2)
	for i := range v {
		v[i].Futex(&words[i], 0, futex32|private)
	}
	waits := g.prep(func(s *ring.SQE) { s.PrepFutexWaitv(v, 0) })
	g.submit()
	woken := g.prep(func(s *ring.SQE) { s.PrepFutexWake(&words[1], 1, futexAny, futex32|private, 0) })
	g.submit()
	done := g.drain(2)
	require.EqualValues(g, 1, done[woken].Res)
	require.EqualValues(g, 1, done[waits].Res, "the second was woken")
}

func opWaitid(g *rig) {
	child := exec.Command("/bin/sh", "-c", "read x; exit 3")
	in, err := child.StdinPipe()
	require.NoError(g, err)
	require.NoError(g, child.Start())
	defer child.Process.Release()
	info := new(unix.Siginfo)
	data := g.prep(func(s *ring.SQE) { s.PrepWaitid(unix.P_PID, child.Process.Pid, info, unix.WEXITED|unix.WNOWAIT, 0) })
	g.submit()
	g.quiet()
	require.NoError(g, in.Close())
	c := g.waitFor(data)
	require.NoError(g, c.Err())
	require.EqualValues(g, unix.SIGCHLD, info.Signo)
	var exit *exec.ExitError
	require.ErrorAs(g, child.Wait(), &exit)
	require.Equal(g, 3, exit.ExitCode())
}

func TestPersonality(t *testing.T) {
	g := newRig(t, nil)
	id, err := g.r.Registrar().RegisterPersonality()
	require.NoError(t, err)
	require.NotZero(t, id)
	path := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	name := cstring(t, path)
	closed(t, g.ok(func(s *ring.SQE) {
		s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		s.SetPersonality(id)
	}))
	require.NoError(t, g.r.Registrar().UnregisterPersonality(id))
	require.Equal(t, unix.EINVAL, errno(g.do(func(s *ring.SQE) {
		s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY, 0)
		s.SetPersonality(id)
	})), "it is forgotten")
}
