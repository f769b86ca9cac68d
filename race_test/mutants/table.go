package main

import "slices"

// mutations are what was taken out, each in turn.
var mutations = slices.Concat(ofWaits, ofRings, ofRefusals)

var ofWaits = []mutation{
	{
		file: "internal/waitq/waitq.go", why: "Await looks before it parks",
		old: "	for !w.Done() {\n		yield.At(yield.WaiterLooks)\n		err := p.Park(ctx)\n",
		new: "	for {\n		err := p.Park(ctx)\n		if err == nil && w.Done() {\n			return nil\n		}\n",
	},
	{
		file: "internal/waitq/waitq.go", why: "what was handed over wins over the context",
		old: "err != nil && w.Abandon() {", new: "err != nil {\n			w.Abandon()",
	},
	{
		file: "internal/waitq/waitq.go", why: "who is finished is not finished again",
		old: "return s&(done|gone) == 0 && w.state", new: "return w.state",
	},
	{
		file: "internal/waitq/waitq.go", why: "Release wakes",
		old: "			yield.At(yield.WaiterWon)\n			w.Wake()\n", new: "			yield.At(yield.WaiterWon)\n",
	},
	{
		file: "internal/waitq/waitq.go", why: "a new turn when a line is detached",
		old: "	q.turn++\n	return l", new: "	return l",
	},
	{
		file: "internal/waitq/waitq.go", why: "who is pushed is the last",
		old: "	tail.next, w.prev, q.head.prev = w, tail, w\n", new: "	w.next, q.head.prev, w.prev = q.head, w, tail\n	q.head = w\n",
	},
	{
		file: "wake/wake.go", why: "a permit wins over the context",
		old: "	select { // select picks at random when both are ready; the permit wins\n	case <-p:\n		return nil\n	default:\n		return ended(ctx)\n	}",
		new: "	return ended(ctx)",
	},
	{
		file: "wake/wake.go", why: "a permit is kept for who parks later",
		old: "make(chanParker, 1)", new: "make(chanParker)",
	},
	{
		file: "waitmap/wait.go", why: "the second look of Wait",
		old: "peek(key, h); ok { // the second look", new: "peek(key, h); ok && false { // the second look",
	},
	{
		file: "waitmap/wait.go", why: "the second look of Take",
		old: "if _, ok := s.lockLines(e, h, metaTakers).peek(key, h); !ok {", new: "if _, ok := s.lockLines(e, h, metaTakers).peek(key, h); !ok || true {",
	},
	{
		file: "waitmap/watch.go", why: "WaitFor looks at what is there, in line",
		old: "	if there {\n		now.v, now.there = unpack[V](e.cells, c)\n	}\n", new: "	_, _ = c, there\n",
	},
	{
		file: "waitmap/watch.go", why: "who is away learns of what is stored",
		old: "	if r.now != w.seen {\n", new: "	if false {\n",
	},
	{
		file: "waitmap/write.go", why: "who is away learns of what a taker got",
		old: "	l.note(v, nil)\n", new: "",
	},
	{
		file: "waitmap/wait.go", why: "who failed leaves the line",
		old: "	if err = en.w.Await(ctx, parker); err != nil {\n		en.w.Value.leave(&en.w)\n", new: "	if err = en.w.Await(ctx, parker); err != nil {\n",
	},
	{
		file: "waitmap/wait.go", why: "a taker is marked as one",
		old: "	en.w.SetExclusive()\n", new: "",
	},
	{
		file: "waitmap/shard.go", why: "a line that was opened before the lock is seen",
		old: "if ok && (lines || meta&metaLines == 0) {", new: "if ok {",
	},
	{
		file: "waitmap/shard.go", why: "no line is announced in a table that is being replaced",
		old: "		meta := atomic.LoadUint64(&g.meta)\n		switch {\n		case meta&metaFrozen != 0:\n			return false\n		case meta&flags == flags:",
		new: "		meta := atomic.LoadUint64(&g.meta)\n		switch {\n		case meta&flags == flags:",
	},
	{
		file: "waitmap/shard.go", why: "the next table's homes know of lines",
		old: "	s.lines.rehome(t)\n", new: "",
	},
	{
		file: "waitmap/grip.go", why: "a home with lines is not gripped",
		old: "metaLocked|metaFrozen|metaLines) != 0", new: "metaLocked|metaFrozen) != 0",
	},
	{
		file: "waitmap/grip.go", why: "what is frozen is not written",
		old: "metaLocked|metaFrozen|metaLines) != 0", new: "metaLocked|metaLines) != 0",
	},
	{
		file: "waitmap/engine.go", why: "a value for a taker is not put into the map",
		old: "	if taker == nil {\n		var ok bool\n		if added", new: "	{\n		var ok bool\n		if added",
	},
	{
		file: "waitmap/engine.go", why: "all are served when a store returns",
		old: "		settle(p.served, p.v, nil)\n		p.line", new: "		p.line",
	},
	{
		file: "waitmap/engine.go", why: "the taker is woken",
		old: "		defer wakeAll(taker)\n", new: "",
	},
	{
		file: "waitmap/engine.go", why: "those who saw the value are woken",
		old: "	wakeList(p.served)\n", new: "",
	},
	{
		file: "waitmap/engine.go", why: "a change waits for the computation of its key",
		old: "	if p.held() {\n		_ = e.acquireHeld", new: "	if false {\n		_ = e.acquireHeld",
	},
	{
		file: "waitmap/line.go", why: "a taker that gave up is passed over",
		old: "			if w.Finish() {\n				w.Value.letGo()\n				return w\n			}", new: "			w.Finish()\n			if true {\n				w.Value.letGo()\n				return w\n			}",
	},
	{
		file: "waitmap/line.go", why: "a line with waiters stays",
		old: "	if head.queue.Len() != 0 || head.watch != nil {", new: "	if head.queue.Len() > 1 || head.watch != nil {",
	},
	{
		file: "waitmap/line.go", why: "those in Wait see what a taker gets",
		old: "		if !w.Exclusive() {\n			l.remove(w)\n			list.Add(w)\n		}", new: "		_ = list",
	},
	{
		file: "waitmap/write.go", why: "a taker is looked for with the lines locked",
		old: "	if taker == nil {\n		ls.mu.Unlock()\n		return false\n	}\n	served", new: "	if taker == nil {\n		ls.mu.Unlock()\n		return true\n	}\n	served",
	},
	{
		file: "waitmap/future.go", why: "who joined a Future looks again",
		old: "if _, done, _ := f.Result(); done { // the second look", new: "if false { // the second look",
	},
	{
		file: "waitmap/future.go", why: "Stop wakes who joined",
		old: "	f.w.Value.leave(&f.w)\n	wakeJoined(&f.w)\n	return true", new: "	f.w.Value.leave(&f.w)\n	return true",
	},
	{
		file: "waitmap/cancel.go", why: "closed before the sweep",
		old: "	e.closed.Store(true) // before the sweep: see enter\n	yield.At(yield.MapClosed)\n	e.cancelAll(closed)\n", new: "	e.cancelAll(closed)\n	yield.At(yield.MapClosed)\n	e.closed.Store(true)\n",
	},
	{
		file: "notify/notify.go", why: "the second look, in the lock",
		old: "			if n.state.CompareAndSwap(permit, 0) {\n				return false\n			}", new: "			if n.state.CompareAndSwap(permit, waiting) {\n				n.line.Push(w)\n				return true\n			}",
	},
	{
		file: "notify/notify.go", why: "who was picked did not fail",
		old: "			if n.leave(w) {\n				return waitq.ParkError(ctx, err)\n			}\n			return nil", new: "			n.leave(w)\n			return waitq.ParkError(ctx, err)",
	},
	{
		file: "notify/notify.go", why: "a wake with nobody in line is kept",
		old: "		n.keep() // nobody can get in line now\n", new: "",
	},
	{
		file: "notify/notify.go", why: "who gives up hands the wake on",
		old: "	if !n.remove(w) && w.Value.handOn {\n		next", new: "	if n.remove(w); false {\n		next",
	},
	{
		file: "notify/notify.go", why: "waiting is cleared with the line",
		old: "	ok := n.line.Remove(w)\n	n.tidy()\n", new: "	ok := n.line.Remove(w)\n",
	},
	{
		file: "notify/notify.go", why: "a picked waiter leaves the line in the lock",
		old: "	w.Value.handOn = true\n	n.remove(w)\n	return w", new: "	w.Value.handOn = true\n	return w",
	},
	{
		file: "notify/listener.go", why: "Stop hands the wake on",
		old: "			next = l.n.pass(l.n.line.Front)\n		}\n	}\n	joined", new: "		}\n	}\n	joined",
	},
	{
		file: "notify/listener.go", why: "a consumed wake is not handed on",
		old: "	if l.used {\n		return false\n	}\n	l.used = true", new: "	l.used = true",
	},
	{
		file: "waitgroup/group.go", why: "the count is looked at with the ticket",
		old: "		if s < one {\n			return false\n		}\n		next", new: "		next",
	},
	{
		file: "waitgroup/group.go", why: "only those older than the zero go",
		old: "if w := g.line.Back(); w == nil || w.Value < t {", new: "if w := g.line.Back(); w == nil || t > 0 {",
	},
	{
		file: "waitgroup/group.go", why: "who counts up from zero releases, too",
		old: "count == 0 || count == int64(n) && !wrong {", new: "count == 0 {",
	},
	{
		file: "waitgroup/group.go", why: "who leaves at zero was released",
		old: "		due = g.older(s)\n", new: "",
	},
	{
		file: "waitgroup/group.go", why: "Done sees who waits",
		old: "	if s := g.state.Add(-one); s < 0 || s&waiting != 0 {", new: "	if s := g.state.Add(-one); s < 0 {",
	},
	{
		file: "waitmap/grip.go", why: "a cell is emptied before its slot is free",
		old: "	if e.cells != cellWords {\n		g.cell().store(e.cells, cell{})\n	}\n	emptied := g.t.countEmptied(g.meta, next)\n	yield.At(yield.MapWritten)\n	setGroup(g.home, next)\n",
		new: "	emptied := g.t.countEmptied(g.meta, next)\n	setGroup(g.home, next)\n	yield.At(yield.MapWritten)\n	if e.cells != cellWords {\n		g.cell().store(e.cells, cell{})\n	}\n",
	},
	{
		file: "waitmap/shard.go", why: "readers find the next table before writers",
		old: "	openDoor(s.door, t)\n	yield.At(yield.MapDoor)\n	s.table.Store(t)\n", new: "	s.table.Store(t)\n	yield.At(yield.MapDoor)\n	openDoor(s.door, t)\n",
	},
	{
		file: "waitmap/table.go", why: "who has read a cell looks at its meta word again",
		old: "atomic.LoadUint64(&g.meta)&(tagLive<<tagShift(i)) != 0 && (t.kind", new: "(t.kind",
	},
	{
		file: "waitmap/table_unsafe.go", why: "who has read a word looks at its meta word again",
		old: "again != meta && again&(m&-m) == 0 {\n					return value, false", new: "again != meta && again == 0 {\n					return value, false",
	},
	{
		file: "waitmap/table_unsafe.go", why: "what is absent has no value",
		old: "				if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); again != meta && again&(m&-m) == 0 {\n					return value, false\n				}\n				return *(*V)(unsafe.Pointer(&b)), true\n",
		new: "				value = *(*V)(unsafe.Pointer(&b))\n				if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); again != meta {\n					return value, again&(m&-m) != 0\n				}\n				return value, true\n",
	},
	{
		file: "waitmap/table_unsafe.go", why: "who has read a pointer looks at its meta word again",
		old: "p == nil || again != meta && again&(m&-m) == 0", new: "p == nil && again == again",
	},
	{
		file: "waitmap/table_unsafe.go", why: "a reader compares the door with the table behind",
		old: "	if (*group[K, wordCell])(unsafe.Add(first, -size)).meta != homes {\n", new: "	if false {\n",
	},
	{
		file: "dedup/flight.go", why: "nobody joins what is not flying",
		old: "	case f.phase != flying:\n		return nil, false, nil\n", new: "",
	},
	{
		file: "dedup/flight.go", why: "the last to leave takes the flight with him",
		old: "		f.phase, f.canceled = adrift, true\n	}\n	f.mu.Unlock()\n	if last {\n", new: "		f.canceled = true\n	}\n	f.mu.Unlock()\n	if last {\n",
	},
	{
		file: "dedup/flight.go", why: "who makes a flight looks at the shelf again",
		old: "		if a, ok := fs.host.look(r.key, r.why); ok {", new: "		if a, ok := fs.host.look(r.key, r.why); ok && false {",
	},
	{
		file: "dedup/flight.go", why: "a flight goes by itself, not by its key",
		old: "	waitmap.CompareAndDelete(&fs.m, f.key, f)\n", new: "	fs.m.Delete(f.key)\n",
	},
	{
		file: "dedup/land.go", why: "only who is flying publishes",
		old: "if f.phase == flying && f.all.host != nil {", new: "if f.all.host != nil {",
	},
	{
		file: "dedup/land.go", why: "landed in the lock",
		old: "	f.phase = landed\n	f.mu.Unlock()\n	f.all.forget(f)\n", new: "	f.mu.Unlock()\n	f.all.forget(f)\n	f.phase = landed\n",
	},
	{
		file: "dedup/land.go", why: "the callers are woken",
		old: "	defer func() { _ = recover() }()\n	line.Release()\n", new: "	_ = line\n",
	},
	{
		file: "dedup/run.go", why: "no function of the user's prevents the end of a load",
		old: "	case returned:\n		f.finish()\n", new: "",
	},
	{
		file: "dedup/land.go", why: "no waker prevents the end of a load",
		old: "	f.ctx.finish()\n	defer f.report()\n	release(line)\n", new: "	release(line)\n	f.ctx.finish()\n	f.report()\n",
	},
	{
		file: "dedup/land.go", why: "who comes while a callback runs finds the result",
		old: "	f.early = h != nil && f.phase == flying && h.asks()\n", new: "	_ = h\n",
	},
	{
		file: "dedup/batch.go", why: "a callback that exits costs its own key only",
		old: "	each(b.flights, (*flight[K, V]).prepare)\n", new: "	for _, f := range b.flights {\n		f.prepare()\n	}\n",
	},
	{
		file: "dedup/batch.go", why: "all keys of a batch are stored before OnLoad",
		old: "	defer each(b.flights, (*flight[K, V]).report)\n	defer b.finish()\n", new: "	defer b.finish()\n	defer each(b.flights, (*flight[K, V]).report)\n",
	},
	{
		file: "dedup/flight.go", why: "Close settles all before it wakes any",
		old: "	for f := range fs.m.Values() {\n		lines.Join(f.end(err))\n", new: "	for f := range fs.m.Values() {\n		line := f.end(err)\n		line.Release()\n",
	},
	{
		file: "dedup/cache.go", why: "what is older than InvalidateAll is not written again",
		old: "ok && e.gen == gen {", new: "ok {",
	},
	{
		file: "dedup/entry.go", why: "what is older than InvalidateAll is not seen",
		old: "	if e.gen != c.epoch() {\n		return a, false\n	}\n", new: "",
	},
	{
		file: "dedup/cache.go", why: "who stores looks again whether the cache is closed",
		old: "(c.closed.Load() || e.gen != c.epoch())", new: "e.gen != c.epoch()",
	},
	{
		file: "dedup/nested.go", why: "no circle is closed",
		old: "	if e.to.reaches(e.from) {\n", new: "	if false {\n",
	},
	{
		file: "dedup/nested.go", why: "who joins a load in line lends it a slot",
		old: "	granted := e.lend()\n", new: "	granted := (&edge{e.from, e.from}).lend()\n",
	},
	{
		file: "dedup/loadslots.go", why: "a load that waits lends its slot",
		old: "	if l == nil {\n		return false\n	}\n	n.borrow(l)", new: "	if l != nil || l == nil {\n		return false\n	}\n	n.borrow(l)",
	},
	{
		file: "dedup/loadslots.go", why: "who owes a slot gives it back",
		old: "		lender.borrower = nil\n		lender.lend(&granted)\n", new: "		lender.lend(&granted)\n",
	},
	{
		file: "dedup/loadslots.go", why: "a borrower that outlives its lender has its slot",
		old: "		borrower.lender = lender\n", new: "		borrower.lender, p.free = lender, p.free+1\n",
	},
	{
		file: "dedup/internal/shelf/bounded.go", why: "who would store too much evicts first",
		old: "		if used+w > 2*limit {\n", new: "		if w < 0 {\n",
	},
	{
		file: "dedup/flight.go", why: "the result wins over the context",
		old: "err != nil && s.f.leave(c) {\n			return", new: "s.f.leave(c) || err != nil {\n			return",
	},
	{
		file: "dedup/flight.go", why: "the load of the last to leave is canceled",
		old: "		f.all.forget(f)\n		f.cancel(ErrAbandoned)\n	}\n	return left", new: "		f.all.forget(f)\n	}\n	return left",
	},
	{
		file: "dedup/entry.go", why: "a sweep spares what has just been stored",
		old: "c.shelf.DeleteIf(key, e)", new: "c.shelf.Delete(key)",
	},
	{
		file: "notify/notify.go", why: "a Wait that dies of a wake of NotifyOne hands it on",
		old: "if !n.remove(w) && w.Value.handOn {", new: "if !n.remove(w) && false {",
	},
	{
		file: "notify/notify.go", why: "a Wait that dies of a wake of NotifyN keeps it",
		old: "if !n.remove(w) && w.Value.handOn {", new: "if !n.remove(w) {",
	},
	{
		file: "notify/listener.go", why: "Stop does not hand on what NotifyN gave",
		old: "		if l.w.Value.handOn {\n", new: "		if true {\n",
	},
	{
		file: "notify/listener.go", why: "a Wait for a Listener that unwinds leaves the Listener's line",
		old: "	defer l.unjoin(j) // if Park ends the goroutine or panics\n", new: "",
	},
	{
		file: "notify/listener.go", why: "the waker is called though a parker panics or exits",
		old: "		defer w.Wake() // last, and even if a parker panics\n	}\n	joined.Release()", new: "	}\n	joined.Release()\n	if w != nil {\n		w.Wake()\n	}",
	},
	{
		file: "notify/listener.go", why: "a Register whose waker exits hands the permit on",
		old: "		if !returned { // w panicked: nobody has the Listener\n			l.Stop()\n		}\n", new: "		if v := recover(); v != nil {\n			l.Stop()\n			panic(v)\n		}\n		_ = returned\n",
	},
	{
		file: "notify/notify.go", why: "the line is left before the context is asked why it ended",
		old: "			if n.leave(w) {\n				return waitq.ParkError(ctx, err)\n			}\n", new: "			err = waitq.ParkError(ctx, err)\n			if n.leave(w) {\n				return err\n			}\n",
	},
	{
		file: "waitgroup/group.go", why: "the line is left before the context is asked why it ended",
		old: "			if g.leave(w) {\n				return waitq.ParkError(ctx, err)\n			}\n", new: "			err = waitq.ParkError(ctx, err)\n			if g.leave(w) {\n				return err\n			}\n",
	},
	{
		file: "waitgroup/group.go", why: "a Wait that unwinds leaves the line",
		old: "	defer g.abandon(w)\n", new: "",
	},
	{
		file: "internal/waitq/waitq.go", why: "Release goes on behind a waker that exits",
		old: "	defer func() {\n		if l.head != nil {\n			l.Release()\n		}\n	}()\n", new: "	defer func() {\n		if v := recover(); v != nil {\n			l.Release()\n			panic(v)\n		}\n	}()\n",
	},
	{
		file: "vigildebug/shield.go", why: "a source that panics is shown as that",
		old: "if v := recover(); v != nil {", new: "if v := any(nil); v != nil {",
	},
	{
		file: "vigildebug/shield.go", why: "what comes after a source that fails is read",
		old: "	for i := 0; i < n; i++ {\n		done", new: "	for i := 0; i == 0 && i < n; i++ {\n		done",
	},
	{
		file: "vigildebug/shield.go", why: "a source that exits does not take the page along",
		old: "		go func() {\n			defer close(done)\n			defer func() {\n				why", new: "		func() {\n			defer close(done)\n			defer func() {\n				why",
	},
	{
		file: "vigildebug/shield.go", why: "the value of a panic is not on the page",
		old: "panicked with a %T", new: "panicked with a %v",
	},
	{
		file: "vigildebug/waits.go", why: "a time that JSON lacks does not spoil the answer",
		old: "presentable(r.since)", new: "r.since",
	},
	{
		file: "waitmap/engine.go", why: "a wait for a computation ends with its context",
		old: "e.await(ctx, &p.s.lines.mu, l, h)", new: "e.await(context.WithoutCancel(ctx), &p.s.lines.mu, l, h)",
	},
	{
		file: "waitmap/wait.go", why: "a taker that unwinds gives back what it was handed",
		old: "	} else if en.w.Done() && en.w.Exclusive() && en.w.Value.err == nil {\n", new: "	} else if false {\n",
	},
	{
		file: "waitmap/future.go", why: "a Future's own waker runs, whatever the others do",
		old: "	defer w.Wake()\n	wakeJoined(w)", new: "	wakeJoined(w)\n	w.Wake()",
	},
	{
		file: "internal/waitq/context.go", why: "errors need not be comparable",
		old: "same(cause, err)", new: "cause == err",
	},
	{
		file: "waitmap/hold.go", why: "a hold that ended before who waits for it is in line",
		old: "	if l.hold != h { // the second look", new: "	if false { // the second look",
	},
	{
		file: "waitmap/hold.go", why: "who gave up leaves the line of the hold",
		old: "		h.waiters.Remove(w)\n", new: "",
	},
	{
		file: "waitmap/compute.go", why: "the end of a hold wakes",
		old: "	defer h.wake() // also if the waker of somebody in line panics\n", new: "	defer func() { _ = h }()\n",
	},
	{
		file: "internal/waitq/waitq.go", why: "Release passes over who gave up",
		old: "		if w.Finish() {\n			yield.At(yield.WaiterWon)\n", new: "		if w.Finish(); true {\n			yield.At(yield.WaiterWon)\n",
	},
	{
		file: "waitmap/engine.go", why: "a store is noted",
		old: "	p.line.note(v, nil)\n", new: "",
	},
	{
		file: "waitmap/cancel.go", why: "a cancel is noted",
		old: "	l.note(zero, err)\n	ls", new: "	_ = zero\n	ls",
	},
	{
		file: "waitmap/line.go", why: "a line that is watched stays",
		old: "	if head.queue.Len() != 0 || head.watch != nil {\n", new: "	if head.queue.Len() != 0 {\n",
	},
	{
		file: "waitmap/watch.go", why: "the first cancel counts",
		old: "		if c.number > number {\n			return c.err\n", new: "		if c := w.cancels[len(w.cancels)-1]; c.number > number {\n			return c.err\n",
	},
	{
		file: "waitmap/future.go", why: "who leaves Future.Wait leaves its line",
		old: "	defer line.part(j)\n", new: "	defer func() { _ = line }()\n",
	},
	{
		file: "waitmap/future.go", why: "all joiners are woken",
		old: "	list.Release()\n", new: "	for j := list.Pop(); j != nil; j = list.Pop() {\n		if j.Finish() {\n			j.Wake()\n		}\n	}\n",
	},
	{
		file: "waitmap/future.go", why: "a done Future lets go of its map",
		old: "			w.Value.letGo()\n			n++\n", new: "			n++\n",
	},
	{
		file: "waitmap/future.go", why: "a stopped Future lets go of its map",
		old: "	(*f.owner).leave(w)\n	f.letGo()\n", new: "	(*f.owner).leave(w)\n",
	},
	{
		file: "waitmap/shard.go", why: "an empty part gives up its table",
		old: "	case heavy(e.memory, key) && t.spent(emptied, e.memory):\n", new: "	case false && t.spent(emptied, e.memory):\n",
	},
	{
		file: "waitmap/shard.go", why: "a table that is not empty any more stays",
		old: "		if live != 0 {\n			return nil // thaw\n		}\n", new: "",
	},
}
