package main

var ofStreams = []mutation{
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a reader waits for the stream that is armed",
		old: "	if n == 0 && err == nil && armed {\n", new: "	if false && armed {\n",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a reader looks again when it is woken",
		old: "		case !armed:\n			return 0, false, nil\n", new: "		case !armed || true:\n			return 0, false, nil\n",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "the end of a stream comes after its bytes",
		old: "	if n == 0 && f.end != nil {", new: "	if f.end != nil {",
		only: "StreamEnds",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a stream stops when too much is unread",
		old: "	case f.unread() > mostUnread && !f.full:\n", new: "	case false:\n",
		only: "StreamStops",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "what is read of a stream is dropped once",
		old:  "		f.pending = f.pending[:copy(f.pending, f.pending[f.next:])]\n		f.next = 0\n",
		new:  "		f.pending = f.pending[:copy(f.pending, f.pending[f.next:])]\n",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a receive without buffers is no error",
		old: "e != unix.ENOBUFS && ", new: "",
		only: "OutOfBuffers",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a canceled receive is no error",
		old: "e != unix.ECANCELED && ", new: "",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a deadline ends the wait for a stream",
		old: "		case why != nil:\n", new: "		case why != nil && false:\n",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "the last completion wakes those who wait for it",
		old: "		if f.leavers != nil {\n			return f\n		}\n", new: "",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a stream is not armed again when others use the descriptor",
		old: "	if f.armed || f.off {", new: "	if f.armed {",
		only: "EndsStream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "a stream has one receive",
		old: "	if f.armed || f.off {", new: "	if f.off {",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/sock_linux.go", why: "Close waits for the last completion of a stream",
		old: "	s.in.disarm(ctx)\n", new: "",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/rawconn_linux.go", why: "a raw read does not overtake what is pending",
		old: "r.s.in.disarm(ctx) > 0", new: "r.s.in.disarm(ctx) < 0",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/control_linux.go", why: "a file's descriptor is not read by a stream as well",
		old: "		s.in.disarm(bridge.Current())\n", new: "		bridge.Current()\n",
		only: "Stream",
	},
	{
		file: "uringwake/uringnet/stream_linux.go", why: "packets, and bytes of unix sockets, are not received by a stream",
		old: " || !f.sock.ahead()", new: "",
		only: "NoStream",
	},
	{
		file: "uringwake/uringnet/transfer_linux.go", why: "a read that took less than there was is no message",
		old: "0 < n && n < len(p) &&", new: "0 < n &&",
		only: "NoStream",
	},
	{
		file: "uringwake/uringnet/netpoll_linux.go", why: "a deadline before the sleep ends it",
		old: "&(expired|closing) != 0 {", new: "&(expired|closing) != 0 && false {",
		only: "DeadlineBefore",
	},
	{
		file: "uringwake/uringnet/netpoll_linux.go", why: "a late interrupt does not end the next sleep",
		old:  "		if err := p.interrupted(); err != nil {\n			return true, err\n		}\n",
		new:  "		return true, err\n",
		only: "LateInterrupts",
	},
	{
		file: "uringwake/uringnet/netpoll_linux.go", why: "the interrupt is cleared before the look for its reason",
		old:  "		p.setDeadline(time.Time{})\n		schedpoint.At(schedpoint.SleepEnds)\n		if err := p.interrupted(); err != nil {\n			return true, err\n		}\n",
		new:  "		if err := p.interrupted(); err != nil {\n			return true, err\n		}\n		schedpoint.At(schedpoint.SleepEnds)\n		p.setDeadline(time.Time{})\n",
		only: "LateInterrupt",
	},
	{
		file: "uringwake/uringnet/netpoll_linux.go", why: "each sleep watches its own context",
		old: "p.done, p.stop = nil, nil, nil, nil", new: "p.done, p.stop = nil, nil, p.done, nil",
		only: "ContextsEnd|EndedReads",
	},
	{
		file: "uringwake/uringnet/netpoll_linux.go", why: "a context forgets the sleeps that have ended",
		old: "	if stop != nil {\n		stop()\n	}\n", new: "	_ = stop\n",
		only: "EndedReads",
	},
	{
		file: "uringwake/uringnet/attempt_linux.go", why: "the signal is cleared before the attempt",
		old:  "		s.prepare()\n		if a.now(uintptr(s.sock.fd)) {\n			return nil\n		}\n",
		new:  "		if a.now(uintptr(s.sock.fd)) {\n			return nil\n		}\n		s.prepare()\n",
		only: "SignalIsCleared",
	},
	{
		file: "uringwake/uringnet/side_linux.go", why: "an interrupt reaches a goroutine in the netpoller",
		old: "	if s.state.Load()&sleeping != 0 {\n", new: "	if false {\n",
		only: "DeadlineEndsRead",
	},
}
