package main

var ofMap = []mutation{
	{
		file: "waitmap/wait.go", why: "the second look of Wait",
		old: "peek(key, h); ok { // the second look", new: "peek(key, h); ok && false { // the second look",
	},
	{
		file: "waitmap/wait.go", why: "the second look of Take",
		old: "if _, ok := s.lockLines(e, h).peek(key, h); !ok ||", new: "if _, ok := s.lockLines(e, h).peek(key, h); !ok || true ||",
	},
	{
		file: "waitmap/watch.go", why: "WaitFor looks at the value after it is in line",
		old: "	if there {\n		u.v, u.ok = unpack[V](e.cells, c)\n	}\n", new: "	_, _ = c, there\n",
	},
	{
		file: "waitmap/watch.go", why: "a watcher that is not in line notices a store",
		old: "	if r.events != w.seen {\n", new: "	if false {\n",
	},
	{
		file: "waitmap/line.go", why: "the fast path of a store does not touch a watched line",
		old: "l.queue.Len() == 1 && l.watch == nil && l.hold == nil", new: "l.queue.Len() == 1 && l.hold == nil",
	},
	{
		file: "waitmap/wait.go", why: "a waiter whose Park failed leaves the line",
		old: "	if err = s.w.Await(ctx, s.parkerWaker.parker); err != nil {\n		s.discard = true // a store may be about to deliver to it\n		e.shard(hash).lines.leave(&s.w)\n", new: "	if err = s.w.Await(ctx, s.parkerWaker.parker); err != nil {\n",
	},
	{
		file: "waitmap/wait.go", why: "a waiter whose context ends leaves the line",
		old: "		if e.shard(hash).lines.leave(&s.w) {\n", new: "		if !s.w.Done() {\n",
	},
	{
		file: "waitmap/wait.go", why: "a value that came with the end of the context is returned",
		old: "		if e.shard(hash).lines.leave(&s.w) {\n", new: "		if e.shard(hash).lines.leave(&s.w) || true {\n",
	},
	{
		file: "waitmap/wait.go", why: "a waiter whose wake is under way is not reused",
		old: "		s.discard = true // it is done, and its waker has not sent yet\n", new: "",
	},
	{
		file: "waitmap/sleeper.go", why: "a waiter whose line is in use is not reused",
		old: "	if s.discard || o.line == &s.line.lineHead {\n", new: "	if s.discard {\n",
	},
	{
		file: "waitmap/sleeper.go", why: "a waiter drops its value before it is reused",
		old: "	o.dropValue()\n	if s.discard", new: "	if s.discard",
	},
	{
		file: "waitmap/sleeper.go", why: "a bubble whose clock is behind uses no waiter from outside",
		old: "(uint64(since-s.lastUse) < uint64(time.Millisecond) || !waitq.InBubble())", new: "uint64(time.Millisecond) > 0",
	},
	{
		file: "waitmap/deliver.go", why: "a waiter that gave up keeps no value",
		old: "	if w := l.queue.Front(); !w.Finish() {\n		w.Value.dropAbandoned()\n	}\n", new: "	l.queue.Front().Finish()\n",
	},
	{
		file: "waitmap/line.go", why: "a waiter already out of line does not leave it again",
		old: "if l == nil || w.Done() || !l.remove(w) {", new: "if w.Done() || !l.remove(w) {",
	},
	{
		file: "waitmap/line.go", why: "a waiter that gave up refers to no line that others may use",
		old: "	o.dropValue()\n	o.line = nil\n}", new: "	o.dropValue()\n}",
	},
	{
		file: "waitmap/sleeper.go", why: "a channel that was made in a bubble does not leave it",
		old: "make(wake.Chan, 1), waitq.InBubble()", new: "make(wake.Chan, 1), false",
	},
	{
		file: "waitmap/wait.go", why: "a waiter whose waker was not called yet is not reused",
		old: "s.discard || !s.parkerWaker.called.Load()", new: "s.discard",
	},
	{
		file: "waitmap/deliver.go", why: "a value for a taker that gave up is delivered elsewhere",
		old: "	} else if delivered = w.Finish(); delivered { // or else it is about to leave\n", new: "	} else if w.Finish(); true {\n		delivered = true\n",
	},
	{
		file: "waitmap/deliver.go", why: "a waiter is done after its value is in the map",
		old: "	atomic.StoreUint64(&fl.home.meta, next|metaLocked) // readers ignore the lock\n", new: "	_ = atomic.LoadUint64(&fl.home.meta)\n",
	},
	{
		file: "waitmap/deliver.go", why: "a home with another line keeps its flag",
		old: "	if !ls.any(fl.t, fl.t.homeIndex(hash)) {\n		next &^= metaLines\n	}\n	e.commit", new: "	next &^= metaLines\n	e.commit",
	},
	{
		file: "waitmap/deliver.go", why: "a value for an absent key does not replace another",
		old: "	if absent && fl.live() || !fl.tryLock(0) {\n", new: "	if !fl.tryLock(0) {\n",
	},
	{
		file: "waitmap/deliver.go", why: "a waiter that has its value drops its line",
		old: "	w.Value.dropMap()\n	ls.mu.Unlock()\n	if", new: "	ls.mu.Unlock()\n	if",
	},
	{
		file: "waitmap/wait.go", why: "a taker is marked as one",
		old: "	w.w.SetExclusive()\n", new: "",
	},
	{
		file: "waitmap/shard.go", why: "a line that was opened before the lock is seen",
		old: "if ok && (lines || meta&metaLines == 0) {", new: "if ok {",
	},
	{
		file: "waitmap/group.go", why: "no line is announced in a table that is being replaced",
		old: "		meta := atomic.LoadUint64(&g.meta)\n		switch {\n		case meta&metaFrozen != 0:\n			return false\n		case meta&metaLines != 0:",
		new: "		meta := atomic.LoadUint64(&g.meta)\n		switch {\n		case meta&metaLines != 0:",
	},
	{
		file: "waitmap/replace.go", why: "the next table's homes have the flag for lines",
		old: "	s.lines.markHomes(t)\n", new: "",
	},
	{
		file: "waitmap/lock.go", why: "a home with lines is not locked on the fast path",
		old: "fl.meta&(flags|metaLocked|metaFrozen) != 0", new: "fl.meta&(metaLocked|metaFrozen) != 0",
	},
	{
		file: "waitmap/lock.go", why: "a frozen group is not written",
		old: "fl.meta&(flags|metaLocked|metaFrozen) != 0", new: "fl.meta&(flags|metaLocked) != 0",
	},
	{
		file: "waitmap/deliver.go", why: "a value for a taker is not put into the map",
		old: "	if taker == nil {\n		var ok bool\n		if added", new: "	{\n		var ok bool\n		if added",
	},
	{
		file: "waitmap/lock.go", why: "all waiters are done when a store returns",
		old: "		deliver(kl.observers, kl.v, nil)\n		kl.line", new: "		kl.line",
	},
	{
		file: "waitmap/deliver.go", why: "the taker is woken, and then the observers",
		old: "		defer wakeList(observers)\n	}\n	wakeWaiter(taker)\n", new: "		wakeList(observers)\n	}\n",
	},
	{
		file: "waitmap/deliver.go", why: "the observers are woken",
		old: "	} else {\n		wakeList(kl.observers)\n	}\n", new: "	}\n",
	},
	{
		file: "waitmap/lock.go", why: "a change waits for the computation of its key",
		old: "	if kl.held() {\n		_ = e.lockFreeSlow", new: "	if false {\n		_ = e.lockFreeSlow",
	},
	{
		file: "waitmap/deliver.go", why: "a taker that gave up is skipped",
		old: "			if w.Finish() {\n				return w\n			}", new: "			w.Finish()\n			if true {\n				return w\n			}",
	},
	{
		file: "waitmap/line.go", why: "a line with waiters stays",
		old: "	if head.queue.Len() != 0 || head.watch != nil || head.closed() {", new: "	if head.queue.Len() > 1 || head.watch != nil || head.closed() {",
	},
	{
		file: "waitmap/deliver.go", why: "waiters in Wait see what a taker gets",
		old: "		if !w.Exclusive() {\n			l.remove(w)\n			list.Add(w)\n		}", new: "		_ = list",
	},
	{
		file: "waitmap/future.go", why: "Future.join looks again",
		old: "	if _, done, _ := f.Result(); done { // the second look: a store from now on finds p\n		return nil, false\n	}\n", new: "",
	},
	{
		file: "waitmap/future.go", why: "a goroutine that leaves a Future is no longer its waker",
		old: "		f.w.Waker = nil\n		f.w.Lend(false)\n", new: "",
	},
	{
		file: "waitmap/future.go", why: "Stop wakes the joiners",
		old: "	if stopped {\n		wakeWaiter(&f.w)\n	}\n	return stopped\n", new: "	return stopped\n",
	},
	{
		file: "waitmap/future.go", why: "Stop prevents the wake",
		old: "	if stopped && !f.w.Lent() {\n		f.w.Waker = nil\n	}\n", new: "",
	},
	{
		file: "waitmap/future.go", why: "Stop wakes a goroutine that is the Future's waker",
		old: "	if stopped && !f.w.Lent() {\n", new: "	if stopped {\n",
	},
	{
		file: "waitmap/cancel.go", why: "Close sets closed before it cancels",
		old: "	e.closed.Store(true) // before the sweep: see enter\n	schedpoint.At(schedpoint.MapClosed)\n	e.cancelAll(closed)\n", new: "	e.cancelAll(closed)\n	schedpoint.At(schedpoint.MapClosed)\n	e.closed.Store(true)\n",
	},
	{
		file: "waitmap/lock.go", why: "a cell is emptied before its slot is free",
		old: "	if e.cells != cellWords {\n		fl.cell().store(e.cells, cell{})\n	}\n	emptied := e.commit(fl, fl.meta&^fl.mark)\n",
		new: "	emptied := e.commit(fl, fl.meta&^fl.mark)\n	schedpoint.At(schedpoint.MapWritten)\n	if e.cells != cellWords {\n		fl.cell().store(e.cells, cell{})\n	}\n",
	},
	{
		file: "waitmap/replace.go", why: "readers find the next table before writers",
		old: "	setView(s.view, t)\n	schedpoint.At(schedpoint.MapView)\n	s.table.Store(t)\n", new: "	s.table.Store(t)\n	schedpoint.At(schedpoint.MapView)\n	setView(s.view, t)\n",
	},
	{
		file: "waitmap/table.go", why: "peek looks at the meta word after the cell",
		old: "atomic.LoadUint64(&g.meta)&(tagLive<<tagShift(i)) != 0 && (t.kind", new: "(t.kind",
	},
	{
		file: "waitmap/load_unsafe.go", why: "load looks at the meta word after a word",
		old: "meta); again&(1<<(i&63)) == 0 {", new: "meta); again == 0 {",
	},
	{
		file: "waitmap/load_unsafe.go", why: "an absent key has no value",
		old: "		if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); again&(1<<(i&63)) == 0 {\n			return value, false\n		}\n		w := b // its address is taken after the last load, so that b stays in a register\n		return *(*V)(unsafe.Pointer(&w)), true\n",
		new: "		value = *(*V)(unsafe.Pointer(&b))\n		if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); again&(1<<(i&63)) == 0 {\n			return value, false\n		}\n		return value, true\n",
	},
	{
		file: "waitmap/load_unsafe.go", why: "load looks at the meta word after a pointer",
		old: "p == nil || again&(1<<(i&63)) == 0", new: "p == nil && again == again",
	},
	{
		file: "waitmap/load_unsafe.go", why: "loadFurther looks at the meta word after the cell",
		old: "			if atomic.LoadUint64(&g.meta)&(m&-m) == 0 {\n				return value, false\n			}\n", new: "",
	},
	{
		file: "waitmap/load_unsafe.go", why: "a reader compares the view with the table",
		old: "	if (*group[K, wordCell])(unsafe.Add(first, -size)).meta != homes {\n", new: "	if false {\n",
	},
	{
		file: "waitmap/lock.go", why: "a wait for a computation ends with its context",
		old: "e.awaitHold(ctx, &kl.s.lines.mu, h)", new: "e.awaitHold(context.WithoutCancel(ctx), &kl.s.lines.mu, h)",
	},
	{
		file: "waitmap/wait.go", why: "a taker that unwinds returns the value it was handed",
		old: "	} else if s.w.Done() && s.w.Exclusive() && s.w.Value.err == nil {\n", new: "	} else if false {\n",
	},
	{
		file: "waitmap/deliver.go", why: "a Future's own waker runs even if another one fails",
		old: "	defer w.Wake()\n	list := w.Value.joined.Detach()\n	list.Release()\n", new: "	list := w.Value.joined.Detach()\n	list.Release()\n	w.Wake()\n",
	},
	{
		file: "waitmap/hold.go", why: "awaitHold looks again",
		old: "	if h.ended { // the second look", new: "	if false { // the second look",
	},
	{
		file: "waitmap/hold.go", why: "a waiter for a hold that gives up leaves its line",
		old: "		h.waiters.Remove(w)\n", new: "",
	},
	{
		file: "waitmap/compute.go", why: "the end of a hold wakes",
		old: "	defer h.wake()\n", new: "",
	},
	{
		file: "waitmap/deliver.go", why: "a store is recorded",
		old: "	kl.line.record(v, nil)\n", new: "",
	},
	{
		file: "waitmap/cancel.go", why: "a cancel is recorded",
		old: "	l.record(zero, err)\n	ls", new: "	_ = zero\n	ls",
	},
	{
		file: "waitmap/line.go", why: "a line that is watched stays",
		old: "	if head.queue.Len() != 0 || head.watch != nil || head.closed() {\n", new: "	if head.queue.Len() != 0 || head.closed() {\n",
	},
	{
		file: "waitmap/watch.go", why: "the first cancel counts",
		old: "		if c.number > number {\n			return c.err\n", new: "		if c = w.cancels[len(w.cancels)-1]; c.number > number {\n			return c.err\n",
	},
	{
		file: "waitmap/future.go", why: "a goroutine that leaves Future.Wait leaves the Future",
		old: "	defer f.leave(p, j)\n", new: "",
	},
	{
		file: "waitmap/deliver.go", why: "all joiners are woken",
		old: "	list.Release()\n", new: "	for j := list.Pop(); j != nil; j = list.Pop() {\n		if j.Finish() {\n			j.Wake()\n		}\n	}\n",
	},
	{
		file: "waitmap/deliver.go", why: "a done Future drops its map",
		old: "			w.Value.dropMap()\n			n++\n", new: "			n++\n",
	},
	{
		file: "waitmap/line.go", why: "a stopped Future drops its map",
		old: "	ls.dropIfIdle(l)\n	w.Value.dropMap()\n	return true", new: "	ls.dropIfIdle(l)\n	return true",
	},
	{
		file: "waitmap/replace.go", why: "an empty part drops its table",
		old: "	case isLarge(e.memory, key) && t.worthDropping(e.memory):\n", new: "	case false && t.worthDropping(e.memory):\n",
	},
	{
		file: "waitmap/lock.go", why: "an overflow is visible before the entry",
		old: "		if g == kl.home { //", new: "		if false { //",
		only: "LoadSees",
	},
	{
		file: "waitmap/replace.go", why: "a table that is no longer empty stays",
		old: "		if live != 0 {\n			return nil // unfreeze\n		}\n", new: "",
	},
	{
		file: "waitmap/wait.go", why: "a Take of a key that a computation holds gets in line",
		old: " || s.lines.holdOf(key, h) != nil {", new: " {",
	},
	{
		file: "waitmap/wait.go", why: "a taker that did not sleep returns when its value is out of the map",
		old: "			e.shard(hash).lines.settle()\n", new: "			_ = hash\n", only: "Gone",
	},
	{
		file: "waitmap/case.go", why: "a taking case that did not sleep returns when its value is out of the map",
		old: "		c.lines().settle()\n", new: "", only: "Gone",
	},
	{
		file: "waitmap/compute.go", why: "what a computation leaves goes to a taker in line",
		old: "		case kl.live && op != DeleteOp &&", new: "		case false && kl.live && op != DeleteOp &&",
	},
	{
		file: "waitmap/compute.go", why: "waiters see what a computation stores for a taker",
		old: "		kl.observers, kl.v = kl.line.detachObservers(), v\n", new: "",
	},
	{
		file: "waitmap/compute.go", why: "after Close a taker does not wait on after the end of a hold",
		old: "	if e.closed.Load() {\n", new: "	if false {\n",
	},
	{
		file: "waitmap/deliver.go", why: "a cancel leaves a taker the value that a computation holds",
		old: "	if l.holdsValue() {\n		return l.detachObservers()\n	}\n", new: "",
	},
	{
		file: "waitmap/wait.go", why: "a taker gets in line for the value that a computation holds, also after Close",
		old: " && !(n.w.Exclusive() && l.holdsValue()) {", new: " {",
	},
	{
		file: "waitmap/case.go", why: "the second look of a case",
		old: "	case !c.ready(e, &kl): // the second look\n", new: "	case !c.ready(e, &kl) || true:\n",
	},
	{
		file: "waitmap/case.go", why: "a case claims before it takes",
		old: "	case a.Claim():\n", new: "	case a.Claim() || true:\n",
	},
	{
		file: "waitmap/case.go", why: "a case does not take what a computation holds",
		old: "		return !c.takes || !kl.held()\n", new: "		return true\n",
	},
	{
		file: "waitmap/case.go", why: "a case's waiter is not used again while a notifier may use it",
		old: "	ours := c.arm == nil || c.arm.Called()\n", new: "	ours := true\n",
	},
	{
		file: "waitmap/case.go", why: "a case's waiter that left too late is not used again",
		old: "	c.free(c.lines().leave(&c.node.w))\n", new: "	c.lines().leave(&c.node.w)\n	c.free(true)\n",
	},
	{
		file: "waitmap/case.go", why: "a case's waiter is not used again while its line is in use",
		old: "	if ours && c.node.w.Value.line != &c.node.line.lineHead {\n", new: "	if ours {\n",
	},
	{
		file: "waitmap/case.go", why: "a Select that unwinds returns the value that it took",
		old: "	if c.takes && err == nil {\n", new: "	if c.takes && err == nil && false {\n",
	},
	{
		file: "waitmap/case.go", why: "Close ends a case that comes after it",
		old: "	return e.closed.Load() // its", new: "	return false // its",
	},
	{
		file: "waitmap/many.go", why: "WaitAny looks again if the map was closed",
		old: "	if i >= 0 && err == ErrClosed {", new: "	if false {",
	},
	{
		file: "waitmap/many.go", why: "a WaitAll that fails leaves all lines",
		old: "	defer a.leave()\n", new: "",
	},
	{
		file: "waitmap/many.go", why: "the end of one wait ends a WaitAll",
		old: "	if w.w.Value.err != nil || w.all", new: "	if w.all",
	},
	{
		file: "waitmap/watch.go", why: "a watch that always has an update ends with its context",
		old: "			if u.err == nil && ctx.Err() != nil {", new: "			if false {",
	},
	{
		file: "waitmap/watch.go", why: "a Watch that is left leaves the line",
		old: "		defer w.stop() // also if the body or Park panics\n", new: "",
	},
}
