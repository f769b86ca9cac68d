package main

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// setupFlags are what a ring is made with. The kernel refuses each flag that it
// does not know, and takes those that it knows with what they need.
var setupFlags = []struct {
	name   string
	params func(l *lab) ring.Params
}{
	{"SetupIOPoll", flagged(ring.SetupIOPoll)},
	{"SetupSQPoll", flagged(ring.SetupSQPoll)},
	{"SetupSQAff", flagged(ring.SetupSQAff | ring.SetupSQPoll)},
	{"SetupCQSize", func(*lab) ring.Params { return ring.Params{Flags: ring.SetupCQSize, CQEntries: 64} }},
	{"SetupClamp", flagged(ring.SetupClamp)},
	{"SetupAttachWQ", func(l *lab) ring.Params {
		return ring.Params{Flags: ring.SetupAttachWQ, WQFD: uint32(l.ring().FD())}
	}},
	{"SetupRDisabled", flagged(ring.SetupRDisabled)},
	{"SetupSubmitAll", flagged(ring.SetupSubmitAll)},
	{"SetupCoopTaskrun", flagged(ring.SetupCoopTaskrun)},
	{"SetupTaskrunFlag", flagged(ring.SetupTaskrunFlag | ring.SetupCoopTaskrun)},
	{"SetupSQE128", flagged(ring.SetupSQE128)},
	{"SetupCQE32", flagged(ring.SetupCQE32)},
	{"SetupSingleIssuer", flagged(ring.SetupSingleIssuer)},
	{"SetupDeferTaskrun", flagged(ring.SetupDeferTaskrun | ring.SetupSingleIssuer)},
	{"SetupNoMmap", flagged(ring.SetupNoMmap)},
	{"SetupRegisteredFDOnly", flagged(ring.SetupRegisteredFDOnly | ring.SetupNoMmap)},
	{"SetupNoSQArray", flagged(ring.SetupNoSQArray)},
	{"SetupHybridIOPoll", flagged(ring.SetupHybridIOPoll | ring.SetupIOPoll)},
	{"SetupCQEMixed", flagged(ring.SetupCQEMixed)},
}

func flagged(flags uint32) func(*lab) ring.Params {
	return func(*lab) ring.Params { return ring.Params{Flags: flags} }
}

func trySetup(params func(*lab) ring.Params) probe {
	return func(l *lab) finding {
		p := params(l)
		r, err := ring.Setup(1, &p)
		if err != nil {
			return told(err)
		}
		return told(r.Close())
	}
}

// features are bits that the kernel answers.
var features = map[string]uint32{
	"FeatSingleMmap": ring.FeatSingleMmap, "FeatNoDrop": ring.FeatNoDrop, "FeatSubmitStable": ring.FeatSubmitStable,
	"FeatRWCurPos": ring.FeatRWCurPos, "FeatCurPersonality": ring.FeatCurPersonality, "FeatFastPoll": ring.FeatFastPoll,
	"FeatPoll32Bits": ring.FeatPoll32Bits, "FeatSQPollNonfixed": ring.FeatSQPollNonfixed, "FeatExtArg": ring.FeatExtArg,
	"FeatNativeWorkers": ring.FeatNativeWorkers, "FeatRsrcTags": ring.FeatRsrcTags, "FeatCQESkip": ring.FeatCQESkip,
	"FeatLinkedFile": ring.FeatLinkedFile, "FeatRegRegRing": ring.FeatRegRegRing,
	"FeatRecvSendBundle": ring.FeatRecvSendBundle, "FeatMinTimeout": ring.FeatMinTimeout, "FeatRWAttr": ring.FeatRWAttr,
	"FeatNoIOWait": ring.FeatNoIOWait,
}

func tryFeature(bit uint32) probe {
	return func(l *lab) finding {
		if l.ring().Features()&bit == 0 {
			return finding{no, "the bit is 0"}
		}
		return finding{yes, ""}
	}
}

// enterFlags are given alone to a call that neither submits nor waits: the kernel
// refuses those that it does not know, and does nothing.
var enterFlags = map[string]uint32{
	"EnterGetEvents": ring.EnterGetEvents, "EnterSQWakeup": ring.EnterSQWakeup, "EnterSQWait": ring.EnterSQWait,
	"EnterExtArg": ring.EnterExtArg, "EnterAbsTimer": ring.EnterAbsTimer, "EnterExtArgReg": ring.EnterExtArgReg,
	"EnterNoIOWait": ring.EnterNoIOWait,
}

func tryEnter(flag uint32) probe {
	return func(l *lab) finding {
		_, err := l.ring().SQ().Enter(0, flag)
		return told(err)
	}
}

// enterRegistered enters a ring by its index.
func enterRegistered(l *lab) finding {
	if err := l.registrar().RegisterRingFD(); err != nil {
		return told(err)
	}
	return told(l.ring().CQ().GetEvents())
}

// entryFlags are of an entry.
var entryFlags = map[string]probe{
	"SQEFixedFile": func(l *lab) finding {
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepRead(0, l.bytes(1), 0); s.SetFixedFile() })))
	},
	"SQEDrain":    nopWith(ring.SQEDrain),
	"SQELink":     nopWith(ring.SQELink),
	"SQEHardlink": nopWith(ring.SQEHardlink),
	"SQEAsync":    nopWith(ring.SQEAsync),
	"SQEBufferSelect": func(l *lab) finding {
		r, w := l.pipe()
		l.fill(w, "x")
		l.buffers(1, 8)
		c := l.do(func(s *ring.SQE) { s.PrepRead(r, nil, 0); s.Len = 8; s.SetBufferGroup(1) })
		return saw(c.Res == 1, "a read of 1 byte", c)
	},
	"SQECQESkipSuccess": func(l *lab) finding {
		l.prep(func(s *ring.SQE) { s.PrepNop(); s.SetSkipSuccess() })
		last := l.prep(func(s *ring.SQE) { s.PrepNop() })
		l.submit()
		c := l.next()
		return saw(c.UserData == last, "no completion of a success", c)
	},
}

func nopWith(flag uint8) probe {
	return func(l *lab) finding {
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepNop(); s.SetFlags(flag) })))
	}
}

// sharedFlags are what the kernel writes into shared memory.
var sharedFlags = map[string]probe{
	"SQNeedWakeup": func(l *lab) finding { // else its thread would sleep on
		l.setup(&ring.Params{Flags: ring.SetupSQPoll, SQThreadIdle: 1})
		time.Sleep(20 * time.Millisecond)
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepNop() })))
	},
	"SQCQOverflow": func(l *lab) finding {
		l.setup(&ring.Params{Flags: ring.SetupCQSize, CQEntries: 8})
		for range 12 {
			l.prep(func(s *ring.SQE) { s.PrepNop() })
			l.submit()
		}
		return saw(l.r.SQ().Overflown(), "beyond a full queue", ring.CQE{})
	},
	"SQTaskrun": func(l *lab) finding {
		l.setup(&ring.Params{Flags: ring.SetupTaskrunFlag | ring.SetupDeferTaskrun | ring.SetupSingleIssuer})
		r, w := l.pipe()
		l.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
		l.submit()
		l.fill(w, "x")
		return saw(l.r.SQ().TaskRun(), "a poll that is ready", ring.CQE{})
	},
	"CQEventFDDisabled": func(l *lab) finding { return told(l.ring().CQ().ToggleEventFD(false)) },
}

// completionFlags are seen where they have a meaning.
var completionFlags = map[string]probe{
	"CQEBuffer": func(l *lab) finding {
		r, w := l.pipe()
		l.fill(w, "x")
		l.buffers(1, 8)
		c := l.do(func(s *ring.SQE) { s.PrepRead(r, nil, 0); s.Len = 8; s.SetBufferGroup(1) })
		return saw(c.Flags&ring.CQEBuffer != 0, "a read of a provided buffer", c)
	},
	"CQEMore": func(l *lab) finding {
		r, w := l.pipe()
		l.fill(w, "x")
		c := l.do(func(s *ring.SQE) { s.PrepPollMultishot(r, unix.POLLIN) })
		return saw(c.More(), "a multishot poll", c)
	},
	"CQESockNonempty": func(l *lab) finding {
		a, z := l.tcp() // others tell later or never
		l.fill(a, "xy")
		c := l.do(func(s *ring.SQE) { s.PrepRecv(z, l.bytes(1), 0) })
		return saw(c.Flags&ring.CQESockNonempty != 0, "a receive by TCP of less than there is", c)
	},
	"CQENotif": func(l *lab) finding {
		c, notif := l.sendZC(0)
		return saw(c.More() && notif.Flags&ring.CQENotif != 0, "the end of a zero-copy send", c)
	},
	"CQEBufMore": func(l *lab) finding { return l.incremental() },
	"CQESkip": func(l *lab) finding { // of 16 entries, one is left before the end
		l.setup(&ring.Params{Flags: ring.SetupCQEMixed})
		for range 15 {
			l.done(func(s *ring.SQE) { s.PrepNop() })
		}
		before := l.r.CQ().Ready()
		l.prep(func(s *ring.SQE) { s.PrepNop(); s.OpFlags = ring.NopCQE32 })
		l.submit()
		return saw(l.r.CQ().Ready()-before == 3, "one entry skipped before one of two", ring.CQE{})
	},
	"CQE32": func(l *lab) finding {
		l.setup(&ring.Params{Flags: ring.SetupCQEMixed})
		c := l.do(func(s *ring.SQE) { s.PrepNop(); s.OpFlags = ring.NopCQE32 })
		return saw(c.Flags&ring.CQE32 != 0, "a completion of 32 bytes", c)
	},
	"CQETstampHW": func(*lab) finding { return finding{unclear, "needs a device that makes time stamps"} },
}
