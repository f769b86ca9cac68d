package main

var ofRings = []mutation{
	{
		file: "uringwake/turn_linux.go", why: "a loop looks for mail after it is announced asleep",
		old: "	if !l.mailbox.empty() {\n		l.door.retract()\n		return\n	}\n", new: "",
	},
	{
		file: "uringwake/bell_linux.go", why: "mail first, then the door",
		old: "	if !l.mailbox.push(m) {\n		return false\n	}\n	yield.At(yield.LoopMailed)\n	if l.door.claim() {\n		yield.At(yield.LoopClaimed)\n		l.ringBell()\n	}\n	return true\n",
		new: "	if l.door.claim() {\n		yield.At(yield.LoopClaimed)\n		l.ringBell()\n	}\n	yield.At(yield.LoopMailed)\n	return l.mailbox.push(m)\n",
	},
	{
		file: "uringwake/task_linux.go", why: "a permit that comes while the task parks",
		old: "	if t.state.CompareAndSwap(0, parked) { // else the permit has come\n		t.coro.yield()\n	}\n", new: "	t.state.Store(parked)\n	t.coro.yield()\n",
	},
	{
		file: "uringwake/door_linux.go", why: "who rings is counted",
		old: "w-asleep+rung+oneRinger", new: "w-asleep+rung",
	},
	{
		file: "uringwake/door_linux.go", why: "a loop's end waits for those who ring",
		old: "	for d.word.Load()>>2 != 0 {\n		runtime.Gosched()\n	}\n", new: "	if d.word.Load()>>2 != 0 {\n		runtime.Gosched()\n	}\n",
	},
	{
		file: "uringwake/close_linux.go", why: "a loop with mail is not finished",
		old: "l.ops.inFlight() == 0 && l.mailbox.seal()", new: "l.ops.inFlight() == 0 && (l.mailbox.seal() || true)",
	},
	{
		file: "uringwake/turn_linux.go", why: "a poll that has ended is armed again",
		old: "l.unarmed || flags&ring.CQEMore == 0\n", new: "l.unarmed || flags&ring.CQEMore == 0 && false\n",
	},
	{
		file: "uringwake/flight_linux.go", why: "a completion that is not the last ends nothing",
		old: "	if flags&ring.CQEMore != 0 {\n		return nil\n	}\n", new: "",
	},
	{
		file: "uringwake/task_linux.go", why: "Park fails with an error, whatever the context says",
		old: "	if ctx.Err() != nil {\n		return whyEnded(ctx)", new: "	if ctx.Err() != nil {\n		return context.Cause(ctx)",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/task_linux.go", why: "Park sees a Done that is closed though Err is nil",
		old: "	if over(done) {\n		return whyEnded(ctx)\n	}\n", new: "",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/task_linux.go", why: "package context does not see that Err is nil, in Park",
		old: "context.AfterFunc(tamed(ctx), t.Wake)", new: "context.AfterFunc(ctx, t.Wake)",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/turn_linux.go", why: "a context is called before the kernel has the operation",
		old:  "	var c *canceler\n	switch done := ctx.Done(); done {\n	case nil:\n	case t.done:\n		t.flying = o\n	default:\n		c = &canceler{loop: l, o: o}\n		defer context.AfterFunc(tamed(ctx), c.contextEnded)()\n	}\n	o.waker = t\n	l.launch(o)\n",
		new:  "	var c *canceler\n	o.waker = t\n	l.launch(o)\n	switch done := ctx.Done(); done {\n	case nil:\n	case t.done:\n		t.flying = o\n	default:\n		c = &canceler{loop: l, o: o}\n		defer context.AfterFunc(tamed(ctx), c.contextEnded)()\n	}\n",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/direct_linux.go", why: "an operation lands before its goroutine unwinds",
		old: "		if !landed { // canceled", new: "		if false { // canceled",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/direct_linux.go", why: "a parker's own error is returned",
		old: "		if err := p.Park(ctx); err != nil {\n			return err\n", new: "		if p.Park(ctx) != nil {\n			return context.Canceled\n",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/wakers_linux.go", why: "a Wait without a ring sees a Done that is closed though Err is nil",
		old: "ctx.Err() != nil || over(ctx.Done())", new: "ctx.Err() != nil",
		only: "FailsWithAnError|Hostile|Liar",
	},
	{
		file: "uringwake/direct_linux.go", why: "who submits is a thread that does nothing else",
		old:  "if o.atOnce() && d.sq.Ready() == 0 {",
		new:  "if d.sq.Ready() == 0 {",
		only: "Outrun|Outlive",
	},
	{
		file: "uringwake/keeper_linux.go", why: "the keeper has its thread for itself",
		old:  "	runtime.LockOSThread()\n	defer runtime.UnlockOSThread()\n	for range work",
		new:  "	_ = runtime.NumCPU()\n	for range work",
		only: "Outrun|Outlive",
	},
	{
		file: "uringwake/keeper_linux.go", why: "the reaper need not wait for its deadline",
		old:  "	if d.cq.Peek() != nil {",
		new:  "	if false {",
		only: "Outrun|WhatACompletion|Refused",
	},
	{
		file: "uringwake/direct_linux.go", why: "the keeper is rung",
		old:  "	if d.stuck() || d.sq.Overflown() {\n		d.ringKeeper()\n	}\n",
		new:  "",
		only: "OutrunTheirThread",
	},
	{
		file: "uringwake/direct_linux.go", why: "a completion before the notices are on",
		old:  "	return !on || d.cq.Peek() == nil",
		new:  "	return true",
		only: "CompletionBetween",
	},
	{
		file: "uringwake/now_linux.go", why: "a wait for memory is told to the scheduler",
		old:  "syscall.Syscall6(t.number",
		new:  "syscall.RawSyscall6(t.number",
		only: "MissingPage",
	},
	{
		file: "uringwake/ring/ring_linux.go", why: "a submission is told to the scheduler",
		old:  "syscall.Syscall6(unix.SYS_IO_URING_ENTER",
		new:  "syscall.RawSyscall6(unix.SYS_IO_URING_ENTER",
		only: "SystemCallsTell|MissingPage|Scheduler",
	},
	{
		file: "uringwake/now_linux.go", why: "what bypasses the page cache waits on the ring",
		old:  "	if t.isDirect() {",
		new:  "	if false {",
		only: "PastThePageCache",
	},
	{
		file: "uringwake/now_linux.go", why: "the rest of a file is read, too",
		old:  "n == 0 || n == len(t.p) || !isRegular(t.fd)",
		new:  "true",
		only: "PartlyInMemory",
	},
	{
		file: "uringwake/now_linux.go", why: "what does not tell is left to a worker",
		old:  "	case unix.EOPNOTSUPP, unix.ENOSYS",
		new:  "	case unix.ENOSYS",
		only: "Terminal",
	},
	{
		file: "uringwake/flight_linux.go", why: "a timeout begins when the kernel has it",
		old:  "ring.TimespecOf(max(o.until-monotonic(), 0))",
		new:  "ring.TimespecOf(o.until)",
		only: "Sleep",
	},
	{
		file: "uringwake/ops_linux.go", why: "a timeout is relative",
		old:  "o.sqe.PrepTimeout(&o.time, 0, 0)",
		new:  "o.sqe.PrepTimeout(&o.time, 0, ring.TimeoutAbs)",
		only: "SleepInATimeNamespace",
	},
	{
		file: "uringwake/watch_linux.go", why: "a report of what is over is dropped",
		old:  "if l.holds.Load() != hold {",
		new:  "if false {",
		only: "Watchdog",
	},
	{
		file: "uringwake/flight_linux.go", why: "a kernel without memory is asked again",
		old:  "	case unix.ENOMEM:\n		return unix.EAGAIN\n",
		new:  "",
		only: "KernelDoesNotLetSleep|KernelHasNoMemory",
	},
	{
		file: "uringwake/support_linux.go", why: "lost completions are called so",
		old:  "case e == unix.EBADR:",
		new:  "case false:",
		only: "Trouble",
	},
	{
		file: "uringwake/bell_linux.go", why: "a poll's number stays out of the kind",
		old:  "pollData | (u+1<<32)&(generations<<32)",
		new:  "u + 1<<32",
		only: "PollsOfADoorbell",
	},
	{
		file: "uringwake/op_linux.go", why: "nobody knows an operation's name by chance",
		old:  "generation: rand.Uint32()",
		new:  "generation: 0*rand.Uint32()",
		only: "NamesBegin",
	},
	{
		file: "uringwake/wakers_linux.go", why: "a stranger ends no operation of ours",
		old:  "if userData&uint64(ours) != 0 && ownRing(fd) {",
		new:  "if false {",
		only: "DoesNotForge",
	},
	{
		file: "uringwake/wakers_linux.go", why: "a Wake of a full EventFD returns",
		old:  "	case hasRoom(e.fd):",
		new:  "	default:",
		only: "FullEventFD",
	},
	{
		file: "uringwake/wakers_linux.go", why: "what passes is no refusal",
		old:  "if doubt := inconclusive(err); doubt != nil {",
		new:  "if doubt := error(nil); doubt != nil {",
		only: "LackOfDescriptors",
	},
	{
		file: "uringwake/wakers_linux.go", why: "a waker that panics keeps nobody asleep",
		old:  "if next < len(wakers) {",
		new:  "if false {",
		only: "RudeWakes",
	},
	{
		file: "uringwake/task_linux.go", why: "package context does not see that Err is nil, in Go",
		old:  "WithCancelCause(tamed(parent))",
		new:  "WithCancelCause(parent)",
		only: "GoUnderALiar",
	},
	{
		file: "uringwake/op_linux.go", why: "a close is not submitted again",
		old:  "|| o.sqe.Opcode == ring.OpClose {",
		new:  "|| res == -int32(unix.EINTR) && o.sqe.Opcode == ring.OpClose {",
		only: "CloseIsNotSubmitted",
	},
}
