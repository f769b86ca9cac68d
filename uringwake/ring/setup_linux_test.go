package ring_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// kinds are rings of every setup flag.
var kinds = []struct {
	name  string
	flags uint32
}{
	{"plain", 0},
	{"IOPOLL", ring.SetupIOPoll},
	{"SQPOLL", ring.SetupSQPoll},
	{"SQ_AFF", ring.SetupSQPoll | ring.SetupSQAff},
	{"CQSIZE", ring.SetupCQSize},
	{"CLAMP", ring.SetupClamp},
	{"ATTACH_WQ", ring.SetupAttachWQ},
	{"R_DISABLED", ring.SetupRDisabled},
	{"SUBMIT_ALL", ring.SetupSubmitAll},
	{"COOP_TASKRUN", ring.SetupCoopTaskrun},
	{"TASKRUN_FLAG", ring.SetupCoopTaskrun | ring.SetupTaskrunFlag},
	{"SQE128", ring.SetupSQE128},
	{"CQE32", ring.SetupCQE32},
	{"SINGLE_ISSUER", ring.SetupSingleIssuer},
	{"DEFER_TASKRUN", ring.SetupSingleIssuer | ring.SetupDeferTaskrun},
	{"NO_MMAP", ring.SetupNoMmap},
	{"NO_MMAP and large entries", ring.SetupNoMmap | ring.SetupSQE128 | ring.SetupCQE32},
	{"NO_MMAP and NO_SQARRAY", ring.SetupNoMmap | ring.SetupNoSQArray},
	{"REGISTERED_FD_ONLY", ring.SetupNoMmap | ring.SetupRegisteredFDOnly},
	{"NO_SQARRAY", ring.SetupNoSQArray},
	{"HYBRID_IOPOLL", ring.SetupIOPoll | ring.SetupHybridIOPoll},
	{"CQE_MIXED", ring.SetupCQEMixed},
}

// setupKind makes a ring with these flags, on the test's own thread.
func setupKind(t *testing.T, entries, flags uint32) *rig {
	t.Helper()
	p := &ring.Params{Flags: flags, CQEntries: 64, SQThreadIdle: 10}
	if flags&ring.SetupAttachWQ != 0 {
		p.WQFD = uint32(setup(t, 2, nil).FD())
	}
	g := &rig{T: t, r: setup(t, entries, p), next: 1}
	if flags&ring.SetupRDisabled != 0 {
		require.NoError(t, g.r.Registrar().EnableRings())
	}
	return g
}

func TestEverySetupFlag(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			onThread(t, func() {
				g := setupKind(t, 8, kind.flags)
				require.Equal(t, kind.flags, g.r.Flags()&kind.flags)
				if kind.flags&ring.SetupIOPoll != 0 && errno(g.do((*ring.SQE).PrepNop)) == unix.EINVAL {
					t.Skip("before Linux 5.19 such a ring takes no Nop")
				}
				wrapAround(g)
			})
		})
	}
}

// wrapAround fills the queues several times over.
func wrapAround(g *rig) {
	g.Helper()
	for range 50 {
		first := g.next
		for range 5 {
			g.prep(func(s *ring.SQE) { s.PrepNop() })
		}
		g.submit()
		for i := range uint64(5) {
			require.Zero(g, g.waitFor(first+i).Res)
		}
	}
}

func TestQueueSizes(t *testing.T) {
	r := setup(t, 5, &ring.Params{Flags: ring.SetupCQSize, CQEntries: 100})
	require.EqualValues(t, 8, r.SQ().Entries())
	require.EqualValues(t, 128, r.CQ().Entries())
	p := &ring.Params{Flags: ring.SetupClamp}
	r = setup(t, 1<<20, p)
	require.EqualValues(t, 32768, r.SQ().Entries())
	require.EqualValues(t, 65536, p.CQEntries)
}

// Queues that take more than a page, in memory of ours.
func TestNoMmapLargeQueues(t *testing.T) {
	g := setupKind(t, 1024, ring.SetupNoMmap)
	for round := range 3 {
		for range 1024 {
			g.prep(func(s *ring.SQE) { s.PrepNop() })
		}
		g.submit()
		require.Len(t, g.drain(1024), 1024, "round %d", round)
	}
}

func TestRegisteredFDOnlyHasNoDescriptor(t *testing.T) {
	onThread(t, func() {
		before := len(descriptors())
		g := setupKind(t, 8, ring.SetupNoMmap|ring.SetupRegisteredFDOnly)
		require.Equal(t, -1, g.r.FD())
		require.Len(t, descriptors(), before)
		_, err := g.r.Registrar().Probe()
		require.NoError(t, err, "it can register")
		wrapAround(g)
		require.ErrorIs(t, g.r.Registrar().RegisterRingFD(), unix.EEXIST)
		require.ErrorIs(t, g.r.Registrar().UnregisterRingFD(), unix.EINVAL)
	})
}

func TestRefusedSetups(t *testing.T) {
	setup(t, 2, nil)
	for name, test := range map[string]struct {
		entries     uint32
		flags       uint32
		needs       uint32
		unsupported bool
	}{
		"no entries":                 {0, 0, 0, false},
		"too many":                   {1 << 20, 0, 0, false},
		"too many of ours":           {1 << 31, ring.SetupNoMmap, 0, false},
		"flag without another":       {2, ring.SetupSQAff, 0, false},
		"flags that exclude":         {2, ring.SetupSingleIssuer | ring.SetupTaskrunFlag, ring.SetupSingleIssuer, false},
		"registered without no-mmap": {2, ring.SetupRegisteredFDOnly, 0, false},
		"flag of no kernel yet":      {2, 1 << 30, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			setup(t, 2, &ring.Params{Flags: test.needs})
			_, err := ring.Setup(test.entries, &ring.Params{Flags: test.flags})
			require.ErrorIs(t, err, unix.EINVAL)
			_, query := ring.Query()
			if query != nil && test.unsupported {
				t.Skip("before Linux 6.18 the kernel does not tell:", query)
			}
			require.Equal(t, test.unsupported, errors.Is(err, errors.ErrUnsupported), "%v", err)
		})
	}
}

func TestRingIsCloseOnExec(t *testing.T) { requireCloexec(t, setup(t, 2, nil).FD()) }

func TestCloseTwice(t *testing.T) {
	r := setup(t, 2, nil)
	fd := r.FD()
	require.NoError(t, r.Close())
	require.Equal(t, -1, r.FD())
	reused, err := unix.Dup(0) // may well have the same number
	require.NoError(t, err)
	closed(t, reused)
	require.NoError(t, r.Close())
	require.NoError(t, unix.Fstat(reused, new(unix.Stat_t)), "a second Close must not close descriptor %d of somebody else", fd)
	require.Error(t, r.Registrar().EnableRings())
}

func TestDisabledRingRefusesWork(t *testing.T) {
	g := &rig{T: t, r: setup(t, 4, &ring.Params{Flags: ring.SetupRDisabled})}
	data := g.prep(func(s *ring.SQE) { s.PrepNop() })
	_, err := g.r.SQ().Submit()
	require.ErrorIs(t, err, unix.EBADFD)
	require.NoError(t, g.r.Registrar().EnableRings())
	g.submit()
	g.waitFor(data)
}

func TestSQPollWaitsForRoom(t *testing.T) {
	g := setupKind(t, 4, ring.SetupSQPoll)
	const all = 200
	for range all {
		if g.r.SQ().SpaceLeft() == 0 {
			require.NoError(t, g.r.SQ().WaitRoom())
		}
		g.prep(func(s *ring.SQE) { s.PrepNop() })
		_, err := g.r.SQ().Submit()
		require.NoError(t, err)
	}
	require.Len(t, g.drain(all), all)
	require.NoError(t, setup(t, 2, nil).SQ().WaitRoom(), "on other rings it does nothing")
}

// A thread that fell asleep is woken by the next submission.
func TestSQPollWakesItsThread(t *testing.T) {
	g := &rig{T: t, r: setup(t, 4, &ring.Params{Flags: ring.SetupSQPoll, SQThreadIdle: 1}), next: 1}
	pause := soon()
	for range 20 {
		require.Equal(t, unix.ETIME, errno(g.do(func(s *ring.SQE) { s.PrepTimeout(pause, 0, 0) })))
	}
}

func TestTaskRunTells(t *testing.T) {
	onThread(t, func() {
		g := setupKind(t, 4, ring.SetupSingleIssuer|ring.SetupDeferTaskrun|ring.SetupTaskrunFlag)
		r, w := socketPair(t, unix.SOCK_STREAM) // what Linux 6.1 reads from a pipe, a worker does
		p := make([]byte, 1)
		data := g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
		g.submit()
		require.False(t, g.r.SQ().TaskRun())
		_, err := unix.Write(w, []byte("x"))
		require.NoError(t, err)
		require.True(t, g.r.SQ().TaskRun())
		require.Nil(t, g.r.CQ().Peek(), "not before an enter")
		_, err = g.r.SQ().SubmitAndGetEvents()
		require.NoError(t, err)
		require.Equal(t, data, g.r.CQ().Peek().UserData)
		g.r.CQ().Seen()
	})
}

func TestCommandArea(t *testing.T) {
	for _, test := range []struct {
		flags uint32
		size  int
	}{{0, 16}, {ring.SetupSQE128, 80}} {
		g := setupKind(t, 2, test.flags)
		for range 6 {
			s := g.r.SQ().GetSQE()
			cmd := g.r.SQ().Cmd(s)
			require.Len(t, cmd, test.size)
			require.Equal(t, make([]byte, test.size), cmd, "cleared")
			s.PrepNop()
			for i := range cmd[16:] {
				cmd[16+i] = 0xff
			}
			g.submit()
			g.wait()
		}
		require.Panics(t, func() { g.r.SQ().Cmd(new(ring.SQE)) })
	}
}

// bigNop is a NOP with a completion of 32 bytes.
func bigNop(s *ring.SQE, a, b uint64) {
	s.PrepNop()
	s.OpFlags, s.Off, s.Addr = ring.NopCQE32, a, b
}

func needBigNop(t *testing.T) {
	t.Helper()
	setup(t, 2, &ring.Params{Flags: ring.SetupCQEMixed}) // of the same kernel
}

func TestCQE32(t *testing.T) {
	needBigNop(t)
	g := setupKind(t, 4, ring.SetupCQE32)
	for i := range uint64(100) {
		g.prep(func(s *ring.SQE) { bigNop(s, i, ^i) })
		g.submit()
		c, err := g.r.CQ().Wait()
		require.NoError(t, err)
		require.Equal(t, i+1, c.UserData)
		require.Equal(t, [2]uint64{i, ^i}, g.r.CQ().Extra(c))
		g.r.CQ().Seen()
	}
}

// Some completions take two slots, and leave a gap at the queue's end.
func TestMixedCompletions(t *testing.T) {
	g := &rig{T: t, r: setup(t, 8, &ring.Params{Flags: ring.SetupCQEMixed | ring.SetupCQSize, CQEntries: 16}), next: 1}
	for i := range uint64(1000) {
		n := 1 + i%5
		for j := range n {
			g.prep(func(s *ring.SQE) {
				if s.PrepNop(); (i+j)%3 != 0 {
					bigNop(s, i, j)
				}
			})
		}
		g.submit()
		for j := range n {
			c, err := g.r.CQ().Wait()
			require.NoError(t, err)
			require.Equal(t, g.next-n+j, c.UserData)
			want := [2]uint64{i, j}
			if (i+j)%3 == 0 {
				want = [2]uint64{}
			}
			require.Equal(t, want, g.r.CQ().Extra(c))
			g.r.CQ().Seen()
		}
	}
	g.quiet()
	require.Zero(t, g.r.CQ().Ready())
}
