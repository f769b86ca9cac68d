package main

var ofDedup = []mutation{
	{
		file: "dedup/many.go", why: "the edge of a call is removed once",
		old: "m.collect(key, &list[i])", new: "m.collect(key, &[]manyKey[K, V]{list[i]}[0])",
	},
	{
		file: "dedup/finish.go", why: "OnLoad is called after the wakers of other packages",
		old: "		defer r.report()\n		release(line)\n", new: "		go release(line)\n		r.report()\n",
	},
	{
		file: "dedup/shards.go", why: "a caller joins only a joinable flight",
		old: "	case f == s.one:\n		s.one = nil\n", new: "	case f == s.one:\n",
	},
	{
		file: "dedup/shards.go", why: "a caller joins only a joinable flight, of several in a shard",
		old: "		delete(s.others, f.key)\n", new: "",
	},
	{
		file: "dedup/shards.go", why: "Close finds detached flights",
		old: "	s.detached[f] = struct{}{}\n", new: "",
	},
	{
		file: "dedup/shards.go", why: "a flight that was joined is not reused",
		old: "	if !f.joined {\n", new: "	if true {\n",
	},
	{
		file: "dedup/shards.go", why: "a reused flight keeps nothing of its last use",
		old: "		*f = flight[K, V]{}\n", new: "",
	},
	{
		file: "dedup/flight.go", why: "the last caller to leave detaches the flight",
		old: "		f.home.remove(f)\n		f.phase, f.canceled = detached, true\n", new: "		f.canceled = true\n",
	},
	{
		file: "dedup/flight.go", why: "a caller that runs a load keeps it alive",
		old: "	if f.callerRuns {\n		return f.line.Len() + 1\n	}\n", new: "",
	},
	{
		file: "dedup/join.go", why: "a caller that creates a flight looks into the store again",
		old: "		if hit, ok := backend.lookup(r.key, r.why); ok {", new: "		if hit, ok := backend.lookup(r.key, r.why); ok && false {",
	},
	{
		file: "dedup/join.go", why: "a caller that can leave does not run the load",
		old: "r.mayRun && info.Endless && !gathers {\n", new: "r.mayRun && info.Parker == nil && !gathers {\n",
	},
	{
		file: "dedup/wait.go", why: "a caller that has made its parker looks for the result again",
		old: "	if !f.line.Has(&c.w) {\n		return false\n	}\n	c.ensureParker()", new: "	c.ensureParker()",
	},
	{
		file: "dedup/wait.go", why: "a caller that is handed a flight finishes it",
		old: "	if !left && j.created != nil && j.f.handedOff {\n", new: "	if !left && false {\n",
	},
	{
		file: "dedup/finish.go", why: "a flight is handed to a caller that has not left",
		old: " || !f.line.Remove(w) {\n", new: " || !f.line.Remove(w) && false {\n",
	},
	{
		file: "dedup/finish.go", why: "a flight is handed over before Close has settled it",
		old: "	if f.progress != pending || f.line.Len() > 1 ||", new: "	if f.line.Len() > 1 ||",
	},
	{
		file: "dedup/finish.go", why: "a caller that is handed a flight is woken",
		old: "	f.home.mu.Unlock()\n	w.Wake()\n", new: "	f.home.mu.Unlock()\n",
	},
	{
		file: "dedup/finish.go", why: "a waker cannot end the goroutine of a caller that runs a load",
		old: "	if r.f.callerRuns && r.f.foreign {\n", new: "	if false {\n",
	},
	{
		file: "dedup/finish.go", why: "a caller that runs a load does not wait for OnLoad",
		old: "	if r.f.callerRuns {\n		go sweepAndReport(b, info, r.left, due)\n	} else {\n", new: "	{\n",
	},
	{
		file: "dedup/finish.go", why: "only a joinable flight is published",
		old: "if b != nil && f.phase == joinable {\n			schedpoint.At", new: "if b != nil {\n			schedpoint.At",
	},
	{
		file: "dedup/finish.go", why: "a flight is published before it leaves the map",
		old: "		if b != nil && f.phase == joinable {\n			schedpoint.At(schedpoint.FlightPublish)\n", new: "		if b != nil && f.phase == joinable {\n			f.home.remove(f)\n			f.home.mu.Unlock()\n			schedpoint.At(schedpoint.FlightPublish)\n			f.home.mu.Lock()\n",
	},
	{
		file: "dedup/finish.go", why: "the callers are woken",
		old: "	defer func() { _ = recover() }()\n	line.Release()\n", new: "	_ = line\n",
	},
	{
		file: "dedup/run.go", why: "a callback cannot prevent the end of a load",
		old: "	case returned:\n		r.finish()\n", new: "",
	},
	{
		file: "dedup/finish.go", why: "a waker cannot prevent the end of a load",
		old: "	r.f.ctx.End()\n	defer r.report()\n", new: "	r.f.ctx.End()\n	line.Release()\n	defer r.report()\n",
	},
	{
		file: "dedup/join.go", why: "a caller that comes while a callback runs finds the result",
		old: "	case f.progress == settled && fs.backend != nil && fs.backend.hasCallbacks():", new: "	case false:",
	},
	{
		file: "dedup/batch.go", why: "a callback that exits fails its own key only",
		old: "	each(b.runs, (*run[K, V]).prepare)\n", new: "	for i := range b.runs {\n		b.runs[i].prepare()\n	}\n",
	},
	{
		file: "dedup/batch.go", why: "all keys of a batch are stored before OnLoad is called",
		old: "	defer each(b.runs, (*run[K, V]).report)\n	defer b.publish()\n", new: "	defer b.publish()\n	defer each(b.runs, (*run[K, V]).report)\n",
	},
	{
		file: "dedup/flights.go", why: "Close settles all flights before it wakes a caller",
		old: "		lines.Join(line)\n		if cancel {\n", new: "		go line.Release()\n		if cancel {\n",
	},
	{
		file: "dedup/backend.go", why: "an entry older than InvalidateAll is not stored again",
		old: "ok && e.epoch == epoch {", new: "ok {",
	},
	{
		file: "dedup/freshness.go", why: "an entry older than InvalidateAll is not returned",
		old: "	if e.epoch != c.epoch() {\n		return a, false\n	}\n", new: "",
	},
	{
		file: "dedup/cache.go", why: "a store checks whether the cache is closed",
		old: "	if c.closed.Load() {\n		return nil, nil\n	}\n", new: "",
	},
	{
		file: "internal/load/nested.go", in: "dedup", why: "a call that would close a cycle fails",
		old: "	if e.to.reaches(e.from) {\n", new: "	if false {\n",
	},
	{
		file: "internal/load/nested.go", in: "dedup", why: "a load that joins a load waiting for a slot lends it one",
		old: "	granted := e.lend()\n", new: "	granted := (&Edge{e.from, e.from}).lend()\n",
	},
	{
		file: "internal/load/slots.go", in: "dedup", why: "a load that waits lends its slot",
		old: "	if l == nil {\n		return false\n	}\n	n.borrow(l)", new: "	if l != nil || l == nil {\n		return false\n	}\n	n.borrow(l)",
	},
	{
		file: "internal/load/slots.go", in: "dedup", why: "a borrowed slot is returned",
		old: "		lender.borrower = nil\n		lender.lend(&granted)\n", new: "		lender.lend(&granted)\n",
	},
	{
		file: "internal/load/slots.go", in: "dedup", why: "a borrower that outlives its lender keeps the slot",
		old: "		borrower.lender = lender\n", new: "		borrower.lender, p.free = lender, p.free+1\n",
	},
	{
		file: "dedup/internal/store/bounded.go", why: "what is stored during an eviction is evicted later",
		old: "	f()\n	s.catchUpLater()\n", new: "	f()\n",
	},
	{
		file: "dedup/internal/store/bounded.go", why: "a Get looks again whether a Set will do its work for it",
		old: "if s.setsRunning.Load() > 0 || s.pending.Swap(nil) == nil {", new: "if true {",
	},
	{
		file: "dedup/internal/store/bounded.go", why: "a Set that would exceed twice the bound evicts first",
		old: "		if used+w > 2*limit {\n", new: "		if w < 0 {\n",
	},
	{
		file: "dedup/wait.go", why: "the result wins over the context",
		old: "err != nil && j.f.leave(c) {\n			return", new: "j.f.leave(c) || err != nil {\n			return",
	},
	{
		file: "dedup/flight.go", why: "the load of the last to leave is canceled",
		old: "	if last {\n		f.cancel(ErrAbandoned)\n	}\n	return left", new: "	return left",
	},
	{
		file: "dedup/sweep.go", why: "a sweep does not remove an entry that was just stored",
		old: "		if c.store.DeleteIf(key, e) {\n", new: "		if _, ok := c.store.Delete(key); ok {\n",
	},
	{
		file: "dedup/backend.go", why: "an old value that has left does not come back with an error",
		old: "		if c.store.Replace(f.key, old, next) || e == nil {\n			return nil\n		}\n		next = next.withoutValue()\n", new: "",
		only: "TestAValueThatWasEvicted",
	},
	{
		file: "dedup/kept.go", why: "InvalidateFunc detaches the loads in flight",
		old: "	c.flights.forgetAll() //", new: "	//",
		only: "TestInvalidateFunc",
	},
	{
		file: "dedup/kept.go", why: "InvalidateFunc drops the extras of batches",
		old: "	c.batches.noteAll()   //", new: "	//",
		only: "TestInvalidateFunc",
	},
	{
		file: "dedup/kept.go", why: "InvalidateFunc looks again at an entry that has changed",
		old: "e, ok = c.store.Get(key) {\n			if c.invalidateIf", new: "ok = false {\n			if c.invalidateIf",
		only: "TestInvalidateFunc",
	},
	{
		file: "dedup/removal.go", why: "OnRemove is called for the others after one that exits",
		old: "		if len(list) > 0 {\n			go c.onRemoveAll(list)\n		}\n", new: "",
		only: "TestOnRemove",
	},
	{
		file: "dedup/removal.go", why: "an evicted value is reported when it has left",
		old: "	c.store.Flush()\n", new: "",
		only: "TestEvicted",
	},
	{
		file: "dedup/finish.go", why: "no old value is returned for a key that is gone",
		old: " && !f.gone {", new: " {",
		only: "TestGone|TestKeyErrors",
	},
	{
		file: "dedup/freshness.go", why: "a value that was idle too long does not come back",
		old: "!c.idle(e, now) {\n			e.used", new: "true {\n			e.used",
		only: "TestIdle|FuzzCache",
	},
	{
		file: "dedup/group.go", why: "DoChan does not wake its caller's parker",
		old: "	ctx = load.ValuesOf(ctx) //", new: "	_ = load.ValuesOf //",
		only: "TestDoChan",
	},
	{
		file: "dedup/gather.go", why: "a gathered key that all callers have left is not loaded",
		old: "return r.f.isCanceled() })", new: "return false })",
		only: "TestEachCaller|TestABatch",
	},
	{
		file: "dedup/gather.go", why: "a batch that has begun is not joined any more",
		old: "	if b.c.gathering.take(b) != nil {\n		b.leave(ErrAbandoned)\n	}\n", new: "",
		only: "TestGetsThat|TestEachCaller",
	},
	{
		file: "dedup/batch.go", why: "a batch that all callers have left does not gather any more",
		old: "	case left == 1 && b.timer != nil", new: "	case left < 0 && b.timer != nil",
		only: "TestABatchThatAll|TestHazardPackage",
	},
	{
		file: "dedup/gather.go", why: "a batch that a caller has joined again goes on gathering",
		old: "	if g.open != b || b.alive.Load() > 1 {\n", new: "	if g.open != b {\n",
		only: "TestOnlyAnEmptyBatch",
	},
	{
		file: "dedup/gather.go", why: "Close ends a batch that gathers",
		old: "	if b := g.take(nil); b != nil {\n", new: "	if b := g.take(nil); b == nil {\n",
		only: "TestCloseEnds|TestLongest",
	},
	{
		file: "dedup/entry.go", why: "a Get renews the entry that replaces what it has found",
		old: "	e.used = old.used\n", new: "	if old.used != nil {\n		e.used = new(atomic.Int64)\n		e.used.Store(old.used.Load())\n	}\n",
		only: "TestAGetDuring",
	},
	{
		file: "dedup/batch.go", why: "LoadMany gets each gathered key once",
		old: "		keys = unique(keys)\n", new: "",
		only: "TestAGatheredKey",
	},
	{
		file: "dedup/unrequested.go", why: "a key that was asked for twice hides no other one",
		old: " && !b.twice {", new: " {",
		only: "TestAGatheredKey",
	},
}
