package main

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// A registration is asked for twice: by a call on no file, which is EBADF if the
// kernel knows the opcode and EINVAL if not (from Linux 6.0 on), and by doing.
type registration struct {
	name string
	op   uint32
	do   func(l *lab, r *ring.Registrar) error
}

var registrations = []registration{
	{"RegisterBuffers", ring.RegisterBuffers, registerBuffer},
	{"UnregisterBuffers", ring.UnregisterBuffers, func(l *lab, r *ring.Registrar) error {
		l.must(registerBuffer(l, r))
		return r.UnregisterBuffers()
	}},
	{"RegisterFiles", ring.RegisterFiles, registerFile},
	{"UnregisterFiles", ring.UnregisterFiles, func(l *lab, r *ring.Registrar) error {
		l.must(registerFile(l, r))
		return r.UnregisterFiles()
	}},
	{"RegisterEventFD", ring.RegisterEventFD, func(l *lab, r *ring.Registrar) error { return r.RegisterEventFD(l.eventFD()) }},
	{"UnregisterEventFD", ring.UnregisterEventFD, func(l *lab, r *ring.Registrar) error {
		l.must(r.RegisterEventFD(l.eventFD()))
		return r.UnregisterEventFD()
	}},
	{"RegisterFilesUpdate", ring.RegisterFilesUpdate, func(l *lab, r *ring.Registrar) error {
		l.must(registerFile(l, r))
		_, err := r.RegisterFilesUpdate(0, []int32{-1})
		return err
	}},
	{"RegisterEventFDAsync", ring.RegisterEventFDAsync, func(l *lab, r *ring.Registrar) error {
		return r.RegisterEventFDAsync(l.eventFD())
	}},
	{"RegisterProbe", ring.RegisterProbe, func(_ *lab, r *ring.Registrar) error { _, err := r.Probe(); return err }},
	{"RegisterPersonality", ring.RegisterPersonality, func(_ *lab, r *ring.Registrar) error {
		_, err := r.RegisterPersonality()
		return err
	}},
	{"UnregisterPersonality", ring.UnregisterPersonality, func(l *lab, r *ring.Registrar) error {
		id, err := r.RegisterPersonality()
		l.must(err)
		return r.UnregisterPersonality(id)
	}},
	{"RegisterRestrictions", ring.RegisterRestrictions, func(l *lab, _ *ring.Registrar) error {
		return l.disabled().RegisterRestrictions(ring.AllowOp(ring.OpNop))
	}},
	{"RegisterEnableRings", ring.RegisterEnableRings, func(l *lab, _ *ring.Registrar) error { return l.disabled().EnableRings() }},
	{"RegisterFiles2", ring.RegisterFiles2, func(l *lab, r *ring.Registrar) error {
		return r.RegisterFilesTags([]int32{int32(l.file())}, []uint64{1})
	}},
	{"RegisterFilesUpdate2", ring.RegisterFilesUpdate2, func(l *lab, r *ring.Registrar) error {
		l.must(registerFile(l, r))
		_, err := r.RegisterFilesUpdateTag(0, []int32{-1}, nil)
		return err
	}},
	{"RegisterBuffers2", ring.RegisterBuffers2, func(l *lab, r *ring.Registrar) error {
		return r.RegisterBuffersTags([][]byte{l.bytes(8)}, []uint64{1})
	}},
	{"RegisterBuffersUpdate", ring.RegisterBuffersUpdate, func(l *lab, r *ring.Registrar) error {
		l.must(registerBuffer(l, r))
		_, err := r.RegisterBuffersUpdateTag(0, [][]byte{l.bytes(8)}, nil)
		return err
	}},
	{"RegisterIOWQAff", ring.RegisterIOWQAff, func(l *lab, r *ring.Registrar) error {
		var cpus unix.CPUSet
		l.must(unix.SchedGetaffinity(0, &cpus))
		return r.RegisterIOWQAff(&cpus)
	}},
	{"UnregisterIOWQAff", ring.UnregisterIOWQAff, func(_ *lab, r *ring.Registrar) error { return r.UnregisterIOWQAff() }},
	{"RegisterIOWQMaxWorkers", ring.RegisterIOWQMaxWorkers, func(_ *lab, r *ring.Registrar) error {
		_, _, err := r.RegisterIOWQMaxWorkers(0, 0)
		return err
	}},
	{"RegisterRingFDs", ring.RegisterRingFDs, func(_ *lab, r *ring.Registrar) error { return r.RegisterRingFD() }},
	{"UnregisterRingFDs", ring.UnregisterRingFDs, func(l *lab, r *ring.Registrar) error {
		l.must(r.RegisterRingFD())
		return r.UnregisterRingFD()
	}},
	{"RegisterPbufRing", ring.RegisterPbufRing, func(_ *lab, r *ring.Registrar) error {
		_, err := r.SetupBufRing(1, 1, 0)
		return err
	}},
	{"UnregisterPbufRing", ring.UnregisterPbufRing, func(l *lab, r *ring.Registrar) error {
		b, err := r.SetupBufRing(1, 1, 0)
		l.must(err)
		return b.Free()
	}},
	{"RegisterSyncCancel", ring.RegisterSyncCancel, func(_ *lab, r *ring.Registrar) error { return r.SyncCancel(ring.SyncCancel{}) }},
	{"RegisterFileAllocRange", ring.RegisterFileAllocRange, func(l *lab, r *ring.Registrar) error {
		l.must(registerFile(l, r))
		return r.RegisterFileAllocRange(0, 1)
	}},
	{"RegisterPbufStatus", ring.RegisterPbufStatus, func(l *lab, r *ring.Registrar) error {
		b, err := r.SetupBufRing(1, 1, 0)
		l.must(err)
		_, err = b.Head()
		return err
	}},
	{"RegisterNAPI", ring.RegisterNAPI, func(_ *lab, r *ring.Registrar) error { return r.RegisterNAPI(&ring.NAPI{BusyPoll: 1}) }},
	{"UnregisterNAPI", ring.UnregisterNAPI, func(_ *lab, r *ring.Registrar) error { return r.UnregisterNAPI(nil) }},
	{"RegisterClock", ring.RegisterClock, func(_ *lab, r *ring.Registrar) error { return r.RegisterClock(unix.CLOCK_BOOTTIME) }},
	{"RegisterCloneBuffers", ring.RegisterCloneBuffers, func(l *lab, r *ring.Registrar) error {
		return r.CloneBuffers(l.buffered())
	}},
	{"RegisterSendMsgRing", ring.RegisterSendMsgRing, func(l *lab, _ *ring.Registrar) error {
		var s ring.SQE
		s.PrepMsgRing(l.ring().FD(), 0, 1, 0)
		return ring.SendMsgRing(&s)
	}},
	{"RegisterZcrxIfq", ring.RegisterZcrxIfq, func(_ *lab, r *ring.Registrar) error {
		return r.RegisterZcrxIfq(&ring.ZcrxIfqReg{IfIndex: 1 << 20, RQEntries: 1}, nil, nil)
	}},
	{"RegisterResizeRings", ring.RegisterResizeRings, func(l *lab, _ *ring.Registrar) error {
		r := l.setup(&ring.Params{Flags: ring.SetupDeferTaskrun | ring.SetupSingleIssuer})
		return r.Registrar().ResizeRings(&ring.Params{SQEntries: 16})
	}},
	{"RegisterMemRegion", ring.RegisterMemRegion, func(_ *lab, r *ring.Registrar) error {
		return r.RegisterRegion(&ring.RegionDesc{Size: 4096}, 0)
	}},
	{"RegisterQuery", ring.RegisterQuery, func(*lab, *ring.Registrar) error { _, err := ring.Query(); return err }},
}

func registerBuffer(l *lab, r *ring.Registrar) error { return r.RegisterBuffers([][]byte{l.bytes(8)}) }
func registerFile(l *lab, r *ring.Registrar) error   { return r.RegisterFiles([]int32{int32(l.file())}) }

func (l *lab) eventFD() int { return l.spare(unix.Eventfd(0, unix.EFD_CLOEXEC)) }

// disabled makes a ring that is not enabled yet.
func (l *lab) disabled() *ring.Registrar {
	return l.setup(&ring.Params{Flags: ring.SetupRDisabled}).Registrar()
}

// buffered makes a ring with two registered buffers.
func (l *lab) buffered() *ring.Ring {
	r := l.setup(nil)
	l.must(r.Registrar().RegisterBuffers([][]byte{l.bytes(8), l.bytes(8)}))
	return r
}

// find asks in both ways.
func (o *registration) find(l *lab) finding {
	const noFile = 1<<31 - 1
	e := register(noFile, o.op, nil, 0)
	if e != unix.EBADF && e != unix.EINVAL && o.op != ring.RegisterQuery && o.op != ring.RegisterSendMsgRing {
		return finding{unclear, "a call on no file is " + unix.ErrnoName(e)}
	}
	err := o.do(l, l.registrar())
	switch tried := told(err); {
	case errors.Is(err, unix.EOPNOTSUPP) && e == unix.EBADF:
		return finding{no, notBuilt}
	case tried.answer == yes && e == unix.EINVAL, tried.answer == no && e == unix.EBADF:
		return finding{unclear, "a call on no file says otherwise than " + tried.how}
	case tried.answer == unclear && e == unix.EBADF:
		return finding{yes, "EBADF of no file"}
	default:
		return tried
	}
}

// useRegistered registers by a ring's index.
func useRegistered(l *lab) finding {
	arg := struct {
		index, resv uint32
		data        uint64
	}{1<<32 - 1, 0, uint64(l.ring().FD())}
	if e := register(l.r.FD(), ring.RegisterRingFDs, unsafe.Pointer(&arg), 1); e != 0 {
		return finding{unclear, "RegisterRingFDs: " + unix.ErrnoName(e)}
	}
	defer register(l.r.FD(), ring.UnregisterRingFDs, unsafe.Pointer(&arg), 1)
	fd := uint32(l.eventFD())
	return taken(register(int(arg.index), ring.RegisterEventFD|ring.RegisterUseRegisteredRing, unsafe.Pointer(&fd), 1))
}

// registerFlags are flags and types of registrations.
var registerFlags = map[string]probe{
	"RsrcRegisterSparse": func(l *lab) finding { return told(l.registrar().RegisterFilesSparse(1)) },
	"PbufRingMmap": func(l *lab) finding {
		_, err := l.registrar().SetupBufRing(1, 1, ring.PbufRingMmap)
		return told(err)
	},
	"PbufRingInc": func(l *lab) finding { return l.incremental() },
	"RegisterSrcRegistered": func(l *lab) finding {
		src := l.buffered()
		l.must(src.Registrar().RegisterRingFD())
		l.must(src.Registrar().CloseRingFD())
		return told(l.setup(nil).Registrar().CloneBuffers(src))
	},
	"RegisterDstReplace": func(l *lab) finding { // without it, EBUSY
		src, dst := l.buffered(), l.buffered()
		return told(dst.Registrar().CloneBuffersOffset(src, 0, 0, 0, ring.RegisterDstReplace))
	},
	"MemRegionTypeUser": func(l *lab) finding {
		_, err := l.disabled().SetupWaitRegion(1)
		return told(err)
	},
	"MemRegionRegWaitArg": func(l *lab) finding {
		return told(l.disabled().RegisterRegion(&ring.RegionDesc{Size: 4096}, ring.MemRegionRegWaitArg))
	},
	"RegWaitTS":   func(l *lab) finding { return l.waitRegion() },
	"IOWQBound":   func(l *lab) finding { return l.workers(ring.IOWQBound) },
	"IOWQUnbound": func(l *lab) finding { return l.workers(ring.IOWQUnbound) },
	"ZcrxAreaDMABuf": func(*lab) finding {
		return finding{unclear, "needs an interface that receives into a device's memory"}
	},
	"RestrictionRegisterOp":       restriction(ring.AllowRegister(ring.RegisterProbe)),
	"RestrictionSQEOp":            restriction(ring.AllowOp(ring.OpNop)),
	"RestrictionSQEFlagsAllowed":  restriction(ring.AllowFlags(ring.SQEAsync)),
	"RestrictionSQEFlagsRequired": restriction(ring.RequireFlags(ring.SQEAsync)),
	"NAPIRegisterOp":              napi(ring.NAPI{BusyPoll: 1, Opcode: ring.NAPIRegisterOp}),
	"NAPITrackingDynamic":         napi(ring.NAPI{BusyPoll: 1, Param: ring.NAPITrackingDynamic}),
	"NAPITrackingStatic":          napi(ring.NAPI{BusyPoll: 1, Param: ring.NAPITrackingStatic}),
	"NAPITrackingInactive": func(l *lab) finding { // is answered, by a ring that has none
		n := ring.NAPI{BusyPoll: 1}
		l.must(l.registrar().RegisterNAPI(&n))
		return saw(n.Param == ring.NAPITrackingInactive, "what was before", ring.CQE{})
	},
	"NAPIStaticAddID": napi(ring.NAPI{BusyPoll: 1, Param: ring.NAPITrackingStatic}, ring.NAPI{Opcode: ring.NAPIStaticAddID, Param: 1 << 20}),
	"NAPIStaticDelID": napi(ring.NAPI{BusyPoll: 1, Param: ring.NAPITrackingStatic}, ring.NAPI{Opcode: ring.NAPIStaticAddID, Param: 1 << 20},
		ring.NAPI{Opcode: ring.NAPIStaticDelID, Param: 1 << 20}),
	"QueryOpcodes": func(*lab) finding {
		_, err := ring.Query()
		return told(err)
	},
}

func restriction(r ring.Restriction) probe {
	return func(l *lab) finding { return told(l.disabled().RegisterRestrictions(r)) }
}

// napi registers one after the other.
func napi(steps ...ring.NAPI) probe {
	return func(l *lab) finding {
		for _, n := range steps {
			err := l.registrar().RegisterNAPI(&n)
			if errors.Is(err, unix.EOPNOTSUPP) {
				return finding{no, notBuilt}
			}
			if err != nil {
				return told(err)
			}
		}
		return finding{yes, ""}
	}
}

func (l *lab) workers(kind int) finding {
	bounded, unbounded, err := l.registrar().RegisterIOWQMaxWorkers(0, 0)
	l.must(err)
	return saw([2]uint32{bounded, unbounded}[kind] > 0, "a limit", ring.CQE{})
}

// waitRegion waits with a time that lies in a registered region.
func (l *lab) waitRegion() finding {
	regs := l.disabled()
	w, err := regs.SetupWaitRegion(1)
	l.must(err)
	l.must(regs.EnableRings())
	*w.At(0) = ring.RegWait{Flags: ring.RegWaitTS, Timeout: ring.Timespec{Nsec: 1}}
	_, err = l.r.SQ().SubmitAndWaitReg(1, 0)
	return told(err)
}
