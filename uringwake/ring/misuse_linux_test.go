package ring_test

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// Hazard: a registered buffer ring used after its ring closed writes into what is
// mapped there then.
func TestBufRingAfterClosePanics(t *testing.T) {
	for name, flags := range map[string]uint16{"our memory": 0, "the kernel's memory": ring.PbufRingMmap} {
		for _, end := range []string{"Close", "Free"} {
			t.Run(name+"/"+end, func(t *testing.T) {
				r := setup(t, 2, nil)
				br, err := r.Registrar().SetupBufRing(4, 1, flags)
				skipUnsupported(t, err, "PbufRingMmap")
				require.NoError(t, err)
				if end == "Free" {
					require.NoError(t, br.Free())
				} else {
					require.NoError(t, r.Close())
				}
				const gone = "ring: BufRing used after Free or Ring.Close"
				require.PanicsWithValue(t, gone, func() { br.Add(make([]byte, 8), 0) })
				require.PanicsWithValue(t, gone, br.Advance)
				_, err = br.Head()
				require.ErrorIs(t, err, unix.EBADF)
				_, err = br.Available()
				require.ErrorIs(t, err, unix.EBADF)
				require.NoError(t, br.Free())
			})
		}
	}
}

func TestWaitRegionAfterClosePanics(t *testing.T) {
	r := setup(t, 2, &ring.Params{Flags: ring.SetupRDisabled})
	w, err := r.Registrar().SetupWaitRegion(2)
	skipUnsupported(t, err, "MemRegionRegWaitArg")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.PanicsWithValue(t, "ring: WaitRegion used after Ring.Close", func() { w.At(0) })
	require.Equal(t, 2, w.Len())
}

// What enters the kernel or registers is an error on a closed ring, of whatever
// flags, and what looks into the queues panics: nothing reads or writes what they
// were.
func TestClosedRing(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			onThread(t, func() {
				r := setupKind(t, 8, kind.flags).r
				sqes, ok := r.SQ().GetSQEs(2)
				require.True(t, ok)
				e := r.SQ().GetSQE()
				require.NoError(t, r.Close())
				closedErrors(t, r)
				closedPanics(t, r, sqes, e)
			})
		})
	}
}

func closedErrors(t *testing.T, r *ring.Ring) {
	t.Helper()
	sq, cq, reg := r.SQ(), r.CQ(), r.Registrar()
	ts := ring.WaitOptions{Timeout: soon()}
	for name, f := range map[string]func() error{
		"Submit":            func() error { _, err := sq.Submit(); return err },
		"SubmitAndWait":     func() error { _, err := sq.SubmitAndWait(1); return err },
		"SubmitAndWaitWith": func() error { _, err := sq.SubmitAndWaitWith(1, ts); return err },
		"SubmitAndWaitReg":  func() error { _, err := sq.SubmitAndWaitReg(1, 0); return err },
		"GetEvents of SQ":   func() error { _, err := sq.SubmitAndGetEvents(); return err },
		"WaitRoom":          sq.WaitRoom,
		"GetEvents":         cq.GetEvents,
		"Wait":              func() error { _, err := cq.Wait(); return err },
		"WaitWith":          func() error { _, err := cq.WaitWith(2, ts); return err },
		"ToggleEventFD":     func() error { return cq.ToggleEventFD(true) },
		"EnableRings":       reg.EnableRings,
		"Probe":             func() error { _, err := reg.Probe(); return err },
		"SetupBufRing":      func() error { _, err := reg.SetupBufRing(4, 1, 0); return err },
		"SetupWaitRegion":   func() error { _, err := reg.SetupWaitRegion(1); return err },
		"ResizeRings":       func() error { return reg.ResizeRings(&ring.Params{SQEntries: 2}) },
		"SyncCancel":        func() error { return reg.SyncCancel(ring.SyncCancel{}) },
		"CloneBuffers":      func() error { return reg.CloneBuffers(r) },
		"DontFork":          r.DontFork,
	} {
		require.ErrorIs(t, f(), unix.EBADF, name)
	}
	for _, err := range cq.Blocking(1) {
		require.Error(t, err)
	}
	for _, f := range []func() error{reg.RegisterRingFD, reg.UnregisterRingFD, reg.CloseRingFD} {
		require.Error(t, f())
	}
	require.False(t, cq.EventFDEnabled())
	require.Zero(t, sq.Entries())
	require.Zero(t, cq.Entries())
}

func closedPanics(t *testing.T, r *ring.Ring, sqes ring.SQEs, e *ring.SQE) {
	t.Helper()
	sq, cq := r.SQ(), r.CQ()
	drain := func() {
		for range cq.All() {
			return
		}
	}
	for range 2 { // also after the first panic
		for name, f := range map[string]func(){
			"GetSQE": func() { sq.GetSQE() }, "GetSQEs": func() { sq.GetSQEs(1) }, "Cmd": func() { sq.Cmd(e) },
			"SpaceLeft": func() { sq.SpaceLeft() }, "SQ Ready": func() { sq.Ready() }, "Dropped": func() { sq.Dropped() },
			"Overflown": func() { sq.Overflown() }, "TaskRun": func() { sq.TaskRun() }, "SQEs.At": func() { sqes.At(0).PrepNop() },
			"Peek": func() { cq.Peek() }, "Seen": cq.Seen, "Advance": func() { cq.Advance(3) },
			"Extra": func() { cq.Extra(new(ring.CQE)) }, "CQ Ready": func() { cq.Ready() }, "Overflow": func() { cq.Overflow() },
			"All": drain,
		} {
			require.Panics(t, f, name)
		}
	}
}

func TestEntriesOutOfRangePanic(t *testing.T) {
	r := setup(t, 4, nil)
	s, ok := r.SQ().GetSQEs(2)
	require.True(t, ok)
	require.NotNil(t, s.At(1))
	for _, i := range []int{-1, 2, math.MaxInt} {
		require.PanicsWithValue(t, "ring: SQEs.At out of range", func() { s.At(i) })
	}
}

// The kernel would take what is not there for room of its own.
func TestAdvanceOverNothingPanics(t *testing.T) {
	g := newRig(t, nil)
	const none = "ring: Seen or Advance of a completion that is not there"
	require.PanicsWithValue(t, none, g.r.CQ().Seen)
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	require.PanicsWithValue(t, none, func() { g.r.CQ().Advance(2) })
	g.wait()
	require.PanicsWithValue(t, none, g.r.CQ().Seen)
	g.ok(func(s *ring.SQE) { s.PrepNop() })
}

// What lies behind a copy is not the kernel's.
func TestExtraOfACopyPanics(t *testing.T) {
	needBigNop(t)
	for _, flags := range []uint32{ring.SetupCQE32, ring.SetupCQEMixed} {
		g := setupKind(t, 4, flags)
		g.prep(func(s *ring.SQE) { bigNop(s, 1, 2) })
		g.submit()
		c, err := g.r.CQ().Wait()
		require.NoError(t, err)
		copied := *c
		require.PanicsWithValue(t, "ring: Extra of a completion that is not in the queue", func() { g.r.CQ().Extra(&copied) })
		require.Equal(t, [2]uint64{1, 2}, g.r.CQ().Extra(c))
		g.r.CQ().Seen()
	}
	c := ring.CQE{Flags: ring.CQE32}
	require.Zero(t, setup(t, 2, nil).CQ().Extra(&c), "there are none of 32 bytes")
}

// A completion of 32 bytes is one, though it takes the room of two.
func TestMixedQueueCountsCompletions(t *testing.T) {
	needBigNop(t)
	for _, wait := range []string{"WaitN", "WaitTimeout", "SubmitAndWait"} {
		t.Run(wait, func(t *testing.T) {
			g := newRig(t, &ring.Params{Flags: ring.SetupCQEMixed})
			for round := range 20 { // also over gaps at the queue's end
				mixedRound(g, wait, round)
			}
		})
	}
}

// mixedRound waits for a few completions, of which all but the last are there.
func mixedRound(g *rig, wait string, round int) {
	g.Helper()
	r, w := pipe(g.T)
	p := make([]byte, 1)
	first := g.prep(func(s *ring.SQE) { bigNop(s, 1, 2) })
	for range round % 3 {
		g.prep(func(s *ring.SQE) { s.PrepNop() })
	}
	last := g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
	want := uint32(last - first + 1)
	if wait != "SubmitAndWait" {
		g.submit()
	}
	s := sleep(g.T, func() error { return waits(ring.WaitOptions{})[wait](g.r, want) })
	s.signal(g.T)
	require.Empty(g, s.done, "one of 32 bytes is not two")
	_, err := unix.Write(w, []byte("x"))
	require.NoError(g, err)
	require.NoError(g, <-s.done)
	require.Len(g, g.drain(int(want)), int(want))
	g.quiet()
}

// A queue in which a completion of 32 bytes does not fit any more is full: a
// goroutine that waits for more would wait forever.
func TestFullMixedQueue(t *testing.T) {
	needBigNop(t)
	g := newRig(t, &ring.Params{Flags: ring.SetupCQEMixed | ring.SetupCQSize, CQEntries: 16})
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	for range 10 {
		g.prep(func(s *ring.SQE) { bigNop(s, 1, 2) })
	}
	_, err := g.r.SQ().SubmitAndWait(11)
	require.NoError(t, err)
	_, err = g.r.CQ().WaitN(11)
	require.NoError(t, err)
	require.Len(t, g.drain(11), 11)
}

// No argument allows nothing.
func TestNoRestrictionAllowed(t *testing.T) {
	g := &rig{T: t, r: setup(t, 8, &ring.Params{Flags: ring.SetupRDisabled}), next: 1}
	reg := g.r.Registrar()
	require.NoError(t, reg.RegisterRestrictions())
	require.NoError(t, reg.EnableRings())
	require.Equal(t, unix.EACCES, errno(g.do(func(s *ring.SQE) { s.PrepNop() })))
	_, err := reg.Probe()
	require.ErrorIs(t, err, unix.EACCES)
}

// large is memory of that many bytes that is not touched.
func large(t *testing.T, n uint64) []byte {
	t.Helper()
	if n > math.MaxInt {
		t.Skip("no such length on this machine")
	}
	m, err := unix.Mmap(-1, 0, int(n), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		t.Skip("no room:", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Munmap(m)) })
	return m
}

// Hazard: lengths beyond 32 bits. A transfer is as long as read(2) would make it
// at most, and where a part of the whole would be wrong there is a panic.
func TestLengthsBeyond32Bits(t *testing.T) {
	const most = 0x7ffff000
	p := large(t, 1<<32+8)
	for name, f := range map[string]func(s *ring.SQE){
		"PrepRead":        func(s *ring.SQE) { s.PrepRead(1, p, 0) },
		"PrepWrite":       func(s *ring.SQE) { s.PrepWrite(1, p, 0) },
		"PrepReadFixed":   func(s *ring.SQE) { s.PrepReadFixed(1, p, 0, 0) },
		"PrepWriteFixed":  func(s *ring.SQE) { s.PrepWriteFixed(1, p, 0, 0) },
		"PrepSend":        func(s *ring.SQE) { s.PrepSend(1, p, 0) },
		"PrepSendto":      func(s *ring.SQE) { s.PrepSendto(1, p, 0, nil, 0) },
		"PrepSendZC":      func(s *ring.SQE) { s.PrepSendZC(1, p, 0, 0) },
		"PrepSendZCFixed": func(s *ring.SQE) { s.PrepSendZCFixed(1, p, 0, 0, 0) },
		"PrepRecv":        func(s *ring.SQE) { s.PrepRecv(1, p, 0) },
	} {
		var s ring.SQE
		f(&s)
		require.EqualValues(t, most, s.Len, name)
	}
	var s ring.SQE
	s.PrepFgetxattr(1, nil, p)
	require.Equal(t, uint32(math.MaxUint32), s.Len)
	s.PrepSetxattr(nil, p, nil, 0)
	require.Equal(t, uint32(math.MaxUint32), s.Len, "which is E2BIG")
	s.PrepCmdSock(0, 1, 0, 0, p)
	require.EqualValues(t, math.MaxInt32, s.FileIndex)
	s.PrepMadvise64(p, 0)
	require.EqualValues(t, len(p), s.Off)
	require.PanicsWithValue(t, "ring: PrepMadvise of 4 GiB or more", func() { s.PrepMadvise(p, 0) })
	s.PrepRead(1, p[:most], 0)
	require.EqualValues(t, most, s.Len)
}

// As many iovecs as wrap around to few are too many.
func TestCountsBeyond32Bits(t *testing.T) {
	many := uint64(1<<32 + 1)
	p := large(t, many*16)
	v := unsafe.Slice((*unix.Iovec)(unsafe.Pointer(unsafe.SliceData(p))), many)
	fds := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(p))), many)
	for name, f := range map[string]func(s *ring.SQE){
		"PrepReadv":        func(s *ring.SQE) { s.PrepReadv(1, v, 0, 0) },
		"PrepWritev":       func(s *ring.SQE) { s.PrepWritev(1, v, 0, 0) },
		"PrepReadvFixed":   func(s *ring.SQE) { s.PrepReadvFixed(1, v, 0, 0, 0) },
		"PrepSendVectors":  func(s *ring.SQE) { s.PrepSendVectorized(1, v, 0) },
		"PrepFilesUpdate":  func(s *ring.SQE) { s.PrepFilesUpdate(fds, 0) },
		"PrepWritevFixed":  func(s *ring.SQE) { s.PrepWritevFixed(1, v, 0, 0, 0) },
		"PrepSendZCVector": func(s *ring.SQE) { s.PrepSendZCVectorized(1, v, 0, 0) },
	} {
		var s ring.SQE
		f(&s)
		require.Equal(t, uint32(math.MaxUint32), s.Len, name)
	}
	g := newRig(t, nil)
	require.ErrorIs(t, g.r.Registrar().RegisterFiles(fds), unix.EMFILE, "more than there can be, and not one")
	require.Equal(t, unix.EINVAL, errno(g.do(func(s *ring.SQE) { s.PrepReadv(0, v, 0, 0) })))
}

// A buffer of 4 GiB and a byte is not that byte.
func TestLargeProvidedBuffer(t *testing.T) {
	p := large(t, 1<<32+1)
	require.NoError(t, unix.Mprotect(p[:1<<16], unix.PROT_READ|unix.PROT_WRITE))
	g := newRig(t, nil)
	br, err := g.r.Registrar().SetupBufRing(1, 9, 0)
	skipUnsupported(t, err, "RegisterPbufRing")
	require.NoError(t, err)
	br.Add(p, 0)
	br.Advance()
	a, z := socketPair(t, unix.SOCK_STREAM)
	_, err = unix.Write(a, []byte("four"))
	require.NoError(t, err)
	require.Equal(t, 4, g.ok(func(s *ring.SQE) { s.PrepRecv(z, nil, 0); s.SetBufferGroup(9) }))
	require.Equal(t, "four", string(p[:4]))
}

// The kernel would write behind them.
func TestProvidingMoreThanThereIsPanics(t *testing.T) {
	var s ring.SQE
	p := make([]byte, 16)
	s.PrepProvideBuffers(p, 8, 2, 1, 0)
	require.Panics(t, func() { s.PrepProvideBuffers(p, 8, 3, 1, 0) })
	require.Panics(t, func() { s.PrepProvideBuffers(p, math.MaxUint32, math.MaxInt32, 1, 0) })
}

// A descriptor that does not fit is none, and not another one.
func TestDescriptorsBeyond32Bits(t *testing.T) {
	shift := 32
	beyond := 1 << shift
	if beyond == 0 {
		t.Skip("an int has no more")
	}
	var s ring.SQE
	s.PrepRead(beyond+1, nil, 0)
	require.EqualValues(t, -1, s.FD)
	s.PrepRenameat(unix.AT_FDCWD, nil, beyond, nil, 0)
	require.EqualValues(t, unix.AT_FDCWD, s.FD)
	require.Equal(t, uint32(math.MaxUint32), s.Len)
	s.PrepSplice(beyond, 0, 1, 0, 0, 0)
	require.Equal(t, uint32(math.MaxUint32), s.FileIndex)
	require.ErrorIs(t, newRig(t, nil).r.Registrar().RegisterEventFD(beyond), unix.EBADF)
}

// Numbers that no region can have, and an index that wraps around in it.
func TestWaitRegionBounds(t *testing.T) {
	r := setup(t, 4, &ring.Params{Flags: ring.SetupRDisabled})
	for _, n := range []int{-1, 0, math.MaxInt, math.MaxInt>>5 + 2} {
		_, err := r.Registrar().SetupWaitRegion(n)
		require.ErrorIs(t, err, unix.EINVAL, n)
	}
	w, err := r.Registrar().SetupWaitRegion(64)
	skipUnsupported(t, err, "MemRegionRegWaitArg")
	require.NoError(t, err)
	require.NoError(t, r.Registrar().EnableRings())
	*w.At(0) = ring.RegWait{Timeout: *soon(), Flags: ring.RegWaitTS}
	for _, i := range []uint32{64, 1 << 26, math.MaxUint32} {
		_, err = r.SQ().SubmitAndWaitReg(1, i)
		require.ErrorIs(t, err, unix.EFAULT, i)
	}
}
