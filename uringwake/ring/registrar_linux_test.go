package ring_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func TestBuffersWithTags(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatRsrcTags)
	reg := g.r.Registrar()
	a, b := make([]byte, 64), make([]byte, 64)
	require.ErrorIs(t, reg.RegisterBuffersTags([][]byte{a}, nil), unix.EINVAL)
	require.NoError(t, reg.RegisterBuffersTags([][]byte{a, a}, []uint64{100, 101}))
	require.ErrorIs(t, reg.RegisterBuffers([][]byte{a}), unix.EBUSY, "there are some")
	n, err := reg.RegisterBuffersUpdateTag(1, [][]byte{b}, []uint64{102})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	g.waitFor(101)
	fd := tempFile(t, "update")
	require.Equal(t, 6, g.ok(func(s *ring.SQE) { s.PrepReadFixed(fd, b, 0, 1) }))
	require.NoError(t, reg.UnregisterBuffers())
	g.mayPost(100, 102)
	require.ErrorIs(t, reg.UnregisterBuffers(), unix.ENXIO)
}

func TestSparseBuffers(t *testing.T) {
	g := newRig(t, nil)
	needOp(t, ring.OpSocket) // of the same kernel
	reg := g.r.Registrar()
	require.NoError(t, reg.RegisterBuffersSparse(4))
	fd, p := tempFile(t, "sparse"), make([]byte, 8)
	require.Equal(t, unix.EFAULT, errno(g.do(func(s *ring.SQE) { s.PrepReadFixed(fd, p, 0, 3) })))
	_, err := reg.RegisterBuffersUpdateTag(3, [][]byte{p}, nil)
	require.NoError(t, err)
	require.Equal(t, 6, g.ok(func(s *ring.SQE) { s.PrepReadFixed(fd, p, 0, 3) }))
	_, err = reg.RegisterBuffersUpdateTag(3, [][]byte{p}, []uint64{1, 2})
	require.ErrorIs(t, err, unix.EINVAL, "tags for others")
}

// A kernel that makes no empty slots says so; one that does not say so of a mistake.
func TestSparseRegistrationIsUnsupportedOrDone(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatRsrcTags)
	reg := g.r.Registrar()
	for name, sparse := range map[string]func(n uint32) error{"files": reg.RegisterFilesSparse, "buffers": reg.RegisterBuffersSparse} {
		mistake, err := sparse(0), sparse(4)
		require.ErrorIs(t, mistake, unix.EINVAL, name)
		if err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported, name)
		}
		require.Equal(t, err != nil, errors.Is(mistake, errors.ErrUnsupported), name)
	}
}

func TestCloneBuffers(t *testing.T) {
	from, to := newRig(t, nil), newRig(t, nil)
	p := make([]byte, 8)
	require.NoError(t, from.r.Registrar().RegisterBuffers([][]byte{make([]byte, 8), p}))
	err := to.r.Registrar().CloneBuffers(from.r)
	skipUnsupported(t, err, "RegisterCloneBuffers")
	require.NoError(t, err)
	fd := tempFile(t, "clone")
	require.Equal(t, 5, to.ok(func(s *ring.SQE) { s.PrepReadFixed(fd, p, 0, 1) }))
	require.ErrorIs(t, to.r.Registrar().CloneBuffers(from.r), unix.EBUSY)
	err = to.r.Registrar().CloneBuffersOffset(from.r, 0, 1, 1, ring.RegisterDstReplace)
	skipUnsupported(t, err) // before Linux 6.13 all are cloned, to a ring that has none
	require.NoError(t, err)
	require.Equal(t, 5, to.ok(func(s *ring.SQE) { s.PrepReadFixed(fd, p, 0, 0) }))
}

// A kernel that clones all buffers or none says so, whatever the rings have; one
// that clones some does not say so of a mistake.
func TestCloningOfSomeBuffersIsUnsupportedOrDone(t *testing.T) {
	from := newRig(t, nil)
	reg := from.r.Registrar()
	require.NoError(t, reg.RegisterBuffers([][]byte{make([]byte, 8), make([]byte, 8)}))
	skipUnsupported(t, newRig(t, nil).r.Registrar().CloneBuffers(from.r), "RegisterCloneBuffers")
	some := newRig(t, nil).r.Registrar().CloneBuffersOffset(from.r, 1, 0, 1, 0)
	replace := reg.CloneBuffersOffset(from.r, 0, 0, 0, ring.RegisterDstReplace)
	tooMany := newRig(t, nil).r.Registrar().CloneBuffersOffset(from.r, 0, 0, 9, 0)
	busy := reg.CloneBuffersOffset(from.r, 0, 0, 1, 0)
	require.ErrorIs(t, busy, unix.EBUSY)
	require.NotErrorIs(t, busy, errors.ErrUnsupported)
	require.ErrorIs(t, tooMany, unix.EINVAL)
	if some == nil {
		require.NoError(t, replace)
		require.NotErrorIs(t, tooMany, errors.ErrUnsupported)
		return
	}
	for _, err := range []error{some, replace, tooMany} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
}

// What a kernel does not know of tracking is unsupported; what none knows is a
// mistake to one that knows the rest.
func TestTrackingIsUnsupportedOrDone(t *testing.T) {
	reg := newRig(t, nil).r.Registrar()
	skipUnsupported(t, reg.RegisterNAPI(&ring.NAPI{BusyPoll: 1}), "RegisterNAPI")
	err := reg.RegisterNAPI(&ring.NAPI{BusyPoll: 1, Param: ring.NAPITrackingStatic})
	require.ErrorIs(t, reg.RegisterNAPI(nil), unix.EINVAL)
	mistake := reg.RegisterNAPI(&ring.NAPI{Param: 77})
	require.ErrorIs(t, mistake, unix.EINVAL)
	if err != nil {
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	require.Equal(t, err != nil, errors.Is(mistake, errors.ErrUnsupported))
}

// An enter flag that the kernel does not know is unsupported; what is none is a
// mistake.
func TestEnterFlagIsUnsupportedOrTaken(t *testing.T) {
	g := newRig(t, nil)
	for _, flag := range []uint32{ring.EnterAbsTimer, ring.EnterExtArgReg, ring.EnterNoIOWait} {
		if _, err := g.r.SQ().Enter(0, flag); err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported, "flag %#x", flag)
		}
	}
	_, err := g.r.SQ().Enter(0, 1<<30)
	require.ErrorIs(t, err, unix.EINVAL)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

func TestFilesWithTags(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatRsrcTags)
	reg := g.r.Registrar()
	a, b := int32(tempFile(t, "a")), int32(tempFile(t, "bb"))
	require.ErrorIs(t, reg.RegisterFilesTags([]int32{a}, nil), unix.EINVAL)
	require.NoError(t, reg.RegisterFilesTags([]int32{a, a}, []uint64{100, 101}))
	n, err := reg.RegisterFilesUpdateTag(0, []int32{ring.FilesSkip, b}, []uint64{0, 102})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	g.waitFor(101)
	p := make([]byte, 4)
	require.Equal(t, 2, g.ok(func(s *ring.SQE) { s.PrepRead(1, p, 0); s.SetFixedFile() }))
	n, err = reg.RegisterFilesUpdate(1, []int32{-1})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	g.waitFor(102)
	require.NoError(t, reg.UnregisterFiles())
	g.mayPost(100)
	require.ErrorIs(t, reg.UnregisterFiles(), unix.ENXIO)
}

// mayPost takes the tags of what was unregistered, which not every kernel posts.
func (g *rig) mayPost(tags ...uint64) {
	g.Helper()
	nop := g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	for c := g.wait(); c.UserData != nop; c = g.wait() {
		require.Contains(g, tags, c.UserData)
	}
}

func TestFileAllocRange(t *testing.T) {
	g := newRig(t, nil)
	needOp(t, ring.OpSocket)
	require.NoError(t, g.r.Registrar().RegisterFilesSparse(8))
	err := g.r.Registrar().RegisterFileAllocRange(5, 2)
	skipUnsupported(t, err, "RegisterFileAllocRange")
	require.NoError(t, err)
	open := func() ring.CQE {
		return g.do(func(s *ring.SQE) { s.PrepSocketDirect(unix.AF_UNIX, unix.SOCK_STREAM, 0, ring.FileIndexAlloc, 0) })
	}
	require.ElementsMatch(t, []int32{5, 6}, []int32{open().Res, open().Res})
	require.Equal(t, unix.ENFILE, errno(open()))
}

func eventFD(t *testing.T) (fd int, count func() uint64) {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	closed(t, fd)
	return fd, func() uint64 {
		p := make([]byte, 8)
		if _, err := unix.Read(fd, p); err != nil {
			require.ErrorIs(t, err, unix.EAGAIN)
			return 0
		}
		return binary.NativeEndian.Uint64(p)
	}
}

func TestEventFDCountsCompletions(t *testing.T) {
	g := newRig(t, nil)
	fd, count := eventFD(t)
	nop := func() { g.ok(func(s *ring.SQE) { s.PrepNop() }) }
	require.NoError(t, g.r.Registrar().RegisterEventFD(fd))
	nop()
	require.EqualValues(t, 1, count())
	require.ErrorIs(t, g.r.Registrar().RegisterEventFD(fd), unix.EBUSY)

	require.True(t, g.r.CQ().EventFDEnabled())
	require.NoError(t, g.r.CQ().ToggleEventFD(false))
	require.False(t, g.r.CQ().EventFDEnabled())
	nop()
	require.Zero(t, count(), "switched off")
	require.NoError(t, g.r.CQ().ToggleEventFD(true))
	require.NoError(t, g.r.CQ().ToggleEventFD(true))
	nop()
	require.EqualValues(t, 1, count())

	require.NoError(t, g.r.Registrar().UnregisterEventFD())
	nop()
	require.Zero(t, count())
	require.NoError(t, g.r.Registrar().RegisterEventFDAsync(fd))
	nop()
	require.Zero(t, count(), "it completed in the submission")
}

func TestWorkers(t *testing.T) { onThread(t, func() { testWorkers(t) }) } // each thread has its own

func testWorkers(t *testing.T) {
	g := newRig(t, nil)
	reg := g.r.Registrar()
	_, _, err := reg.RegisterIOWQMaxWorkers(3, 5)
	skipUnsupported(t, err, "RegisterIOWQMaxWorkers")
	require.NoError(t, err)
	bounded, unbounded, err := reg.RegisterIOWQMaxWorkers(0, 0)
	require.NoError(t, err)
	require.Equal(t, []uint32{3, 5}, []uint32{bounded, unbounded})
	var cpus unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &cpus))
	require.NoError(t, reg.RegisterIOWQAff(&cpus))
	fd, p := tempFile(t, "worker"), make([]byte, 8)
	require.Equal(t, 6, g.ok(func(s *ring.SQE) { s.PrepRead(fd, p, 0); s.SetAsync() }))
	require.NoError(t, reg.UnregisterIOWQAff())
}

func TestRestrictions(t *testing.T) {
	g := &rig{T: t, r: setup(t, 8, &ring.Params{Flags: ring.SetupRDisabled | ring.SetupSubmitAll}), next: 1}
	reg := g.r.Registrar()
	require.NoError(t, reg.RegisterRestrictions(
		ring.AllowOp(ring.OpNop), ring.AllowFlags(ring.SQELink), ring.RequireFlags(ring.SQEAsync),
		ring.AllowRegister(ring.RegisterEnableRings)))
	require.NoError(t, reg.EnableRings())
	results := map[string]unix.Errno{}
	for name, f := range map[string]func(s *ring.SQE){
		"allowed":        func(s *ring.SQE) { s.PrepNop(); s.SetAsync() },
		"other opcode":   func(s *ring.SQE) { s.PrepClose(-1); s.SetAsync() },
		"other flag":     func(s *ring.SQE) { s.PrepNop(); s.SetAsync(); s.SetDrain() },
		"without a flag": func(s *ring.SQE) { s.PrepNop() },
	} {
		results[name] = errno(g.do(f))
	}
	require.Equal(t, map[string]unix.Errno{"allowed": 0, "other opcode": unix.EACCES,
		"other flag": unix.EACCES, "without a flag": unix.EACCES}, results)
	_, err := reg.RegisterPersonality()
	require.ErrorIs(t, err, unix.EACCES)
}

func TestSyncCancel(t *testing.T) {
	g := newRig(t, nil)
	reg := g.r.Registrar()
	err := reg.SyncCancel(ring.SyncCancel{UserData: 1})
	skipUnsupported(t, err, "RegisterSyncCancel")
	require.ErrorIs(t, err, unix.ENOENT)
	r, _ := pipe(t)
	p := make([]byte, 1)
	one := g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
	two := g.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
	g.submit()
	require.NoError(t, reg.SyncCancel(ring.SyncCancel{UserData: one, Timeout: 1 << 40}))
	require.Equal(t, unix.ECANCELED, errno(g.waitFor(one)))
	require.NoError(t, reg.SyncCancel(ring.SyncCancel{FD: r, Flags: ring.AsyncCancelFD | ring.AsyncCancelAll}))
	require.Equal(t, unix.ECANCELED, errno(g.waitFor(two)))
}

func TestNAPI(t *testing.T) {
	g := newRig(t, nil)
	n := ring.NAPI{BusyPoll: 20, Prefer: 1}
	err := g.r.Registrar().RegisterNAPI(&n)
	skipUnsupported(t, err, "RegisterNAPI")
	if errors.Is(err, unix.EINVAL) {
		t.Skip("built without busy polling:", err)
	}
	require.NoError(t, err)
	require.Zero(t, n.BusyPoll, "what was before")
	require.NoError(t, g.r.Registrar().UnregisterNAPI(&n))
	require.EqualValues(t, 20, n.BusyPoll)
	require.EqualValues(t, 1, n.Prefer)
	require.NoError(t, g.r.Registrar().UnregisterNAPI(nil))
}

func TestRegisterRingFD(t *testing.T) {
	onThread(t, func() {
		g := newRig(t, nil)
		reg := g.r.Registrar()
		require.ErrorIs(t, reg.UnregisterRingFD(), unix.EINVAL, "it is not registered")
		if g.r.Features()&ring.FeatRegRegRing != 0 {
			require.ErrorIs(t, reg.CloseRingFD(), unix.EBADF)
		} else {
			require.ErrorIs(t, reg.CloseRingFD(), errors.ErrUnsupported)
		}
		err := reg.RegisterRingFD()
		skipUnsupported(t, err, "RegisterRingFDs")
		require.NoError(t, err)
		require.ErrorIs(t, reg.RegisterRingFD(), unix.EEXIST)
		wrapAround(g)
		require.NoError(t, reg.UnregisterRingFD())
		wrapAround(g)
		require.NoError(t, reg.RegisterRingFD())
		needFeature(t, g.r, ring.FeatRegRegRing)
		before := len(descriptors())
		require.NoError(t, reg.CloseRingFD())
		require.Len(t, descriptors(), before-1)
		require.Equal(t, -1, g.r.FD())
		wrapAround(g)
		require.NoError(t, reg.RegisterFiles([]int32{-1}))
	})
}

func TestRegion(t *testing.T) {
	g := newRig(t, nil)
	d := ring.RegionDesc{Size: uint64(os.Getpagesize())}
	err := g.r.Registrar().RegisterRegion(&d, 0)
	skipUnsupported(t, err, "RegisterMemRegion")
	require.NoError(t, err)
	m, err := unix.Mmap(g.r.FD(), int64(d.MmapOffset), os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err, "the kernel's memory can be mapped")
	m[0] = 1
	require.NoError(t, unix.Munmap(m))
}

func TestQuery(t *testing.T) {
	setup(t, 2, nil)
	c, err := ring.Query()
	skipUnsupported(t, err, "RegisterQuery")
	require.NoError(t, err)
	require.Greater(t, c.Opcodes, uint32(lastOp))
	require.Greater(t, c.RegisterOpcodes, uint32(ring.RegisterQuery))
	require.NotZero(t, c.SetupFlags&ring.SetupCQEMixed)
	require.NotZero(t, c.Features&ring.FeatNoIOWait)
	require.NotZero(t, c.EnterFlags&ring.EnterNoIOWait)
	require.NotZero(t, c.SQEFlags&ring.SQECQESkipSuccess)
}

// No interface has the number 2^31-1: the kernel says so, or that it wants more
// privilege.
func TestZcrxIfqIsRefused(t *testing.T) {
	onThread(t, func() {
		r := setup(t, 4, &ring.Params{Flags: ring.SetupSingleIssuer | ring.SetupDeferTaskrun | ring.SetupCQE32})
		err := r.Registrar().RegisterZcrxIfq(&ring.ZcrxIfqReg{IfIndex: 1<<31 - 1, RQEntries: 8},
			new(ring.ZcrxAreaReg), new(ring.RegionDesc))
		require.Error(t, err)
		t.Log(err)
	})
}

func TestRegistrationOfAnotherThread(t *testing.T) {
	onThread(t, func() {
		r := setup(t, 4, &ring.Params{Flags: ring.SetupSingleIssuer})
		s := sleep(t, func() error { _, err := r.Registrar().Probe(); return err })
		require.ErrorIs(t, <-s.done, unix.EEXIST)
	})
}

// Any number of goroutines may register.
func TestRegistrarIsConcurrent(t *testing.T) {
	g := newRig(t, nil)
	reg := g.r.Registrar()
	require.NoError(t, reg.RegisterFiles([]int32{-1, -1, -1, -1}))
	fd := int32(tempFile(t, "shared"))
	errs := make(chan error, 4)
	for i := range uint32(4) {
		go func() { errs <- churn(reg, i, fd) }()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
}

func churn(reg *ring.Registrar, slot uint32, fd int32) error {
	for range 200 {
		for _, f := range []int32{fd, -1} {
			if _, err := reg.RegisterFilesUpdate(slot, []int32{f}); err != nil {
				return fmt.Errorf("slot %d: %w", slot, err)
			}
		}
	}
	br, err := reg.SetupBufRing(4, uint16(slot), 0)
	if err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		return err
	}
	return br.Free()
}
