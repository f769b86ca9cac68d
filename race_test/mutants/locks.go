package main

var ofLocks = []mutation{
	{
		file: "await/sema.go", why: "a waiter looks again before it gets in line",
		old: "		if word&waiting != 0 || held(word) > s.limit-w.Value.n && s.word.CompareAndSwap(word, word|waiting) {\n", new: "		if s.word.Or(waiting); word >= 0 {\n",
	},
	{
		file: "await/sema.go", why: "a permit that is released while waiters are in line is theirs",
		old: "		if word&flags != 0 || held(word) > limit-n {\n", new: "		if word&slow != 0 || held(word) > limit-n {\n",
	},
	{
		file: "await/sema.go", why: "a Release while waiters are in line serves them",
		old: "		if h := held(word); word&flags != 0 || h < n || h > most {\n", new: "		if h := held(word); word&slow != 0 || h < n || h > most {\n",
	},
	{
		file: "await/sema.go", why: "the line is not overtaken under the lock",
		old: "		if held(word) > s.limit-n || word&waiting != 0 && !barge {\n", new: "		if held(word) > s.limit-n {\n",
	},
	{
		file: "await/sema.go", why: "a TryLock does not go by a flag that a Select has set for a moment",
		old: "	if word := s.word.Load(); word&slow == 0 && held(word) > limit-n {\n", new: "	if word := s.word.Load(); word&waiting != 0 && !barge || word&slow == 0 && held(word) > limit-n {\n",
	},
	{
		file: "await/sema.go", why: "a waiter that leaves lets in those behind it",
		old: "		return false\n	}\n	s.serveAndUnlock()\n	return true\n}\n\n// setLimit", new: "		return false\n	}\n	s.clearWaiting()\n	s.mu.Unlock()\n	return true\n}\n\n// setLimit",
	},
	{
		file: "await/sema.go", why: "the last waiter that leaves clears the flag",
		old: "	s.clearWaiting()\n	return list\n", new: "	if list.Front() != nil {\n		s.clearWaiting()\n	}\n	return list\n",
	},
	{
		file: "await/sema.go", why: "serve passes over a Select in which another case has happened",
		old: "		if w.Finish() {\n			schedpoint.At(schedpoint.LockGrants)\n", new: "		if w.Finish(); true {\n			schedpoint.At(schedpoint.LockGrants)\n",
	},
	{
		file: "await/sema.go", why: "waiting is set until the permits of a waiter are counted",
		old: "		s.line.Remove(w)\n		if w.Finish() {\n			schedpoint.At(schedpoint.LockGrants)\n", new: "		s.line.Remove(w)\n		s.clearWaiting()\n		if w.Finish() {\n			schedpoint.At(schedpoint.LockGrants)\n",
	},
	{
		file: "await/sema.go", why: "serve goes on to the waiters there is still enough for",
		old: "w = s.line.Front() {\n		s.line.Remove(w)\n		if w.Finish() {\n			schedpoint", new: "w = nil {\n		s.line.Remove(w)\n		if w.Finish() {\n			schedpoint",
	},
	{
		file: "await/sema.go", why: "serve stops at a waiter there is not enough for",
		old: "	for w := s.line.Front(); w != nil && held(s.word.Load()) <= s.limit-w.Value.n; w = s.line.Front() {\n", new: "	for w, next := s.line.Front(), (*waiter)(nil); w != nil; w = next {\n		if next = w.Next(); held(s.word.Load()) > s.limit-w.Value.n {\n			continue\n		}\n",
	},
	{
		file: "await/sema.go", why: "a Release of more than is held changes nothing",
		old: "		if h := held(word); h < n || h > most {\n", new: "		if h := held(word); h > most {\n",
	},
	{
		file: "await/sema.go", why: "an RUnlock while a writer has the lock changes nothing",
		old: "		if h := held(word); h < n || h > most {\n", new: "		if h := held(word); h < n {\n",
	},
	{
		file: "await/sema.go", why: "SetLimit makes every call take the lock",
		old: "	s.mu.Lock()\n	s.word.Or(slow)\n", new: "	s.mu.Lock()\n",
	},
	{
		file: "await/sema.go", why: "SetLimit refuses waiters in line for more",
		old: "		if w.Value.n > limit {\n", new: "		if false {\n",
	},
	{
		file: "await/sema.go", why: "SetLimit lets waiters in",
		old: "	list := s.serve()\n	s.mu.Unlock()\n	list.Join(refused)\n", new: "	list := refused\n	s.mu.Unlock()\n",
	},
	{
		file: "await/sema.go", why: "an Acquire of more than the limit fails under the lock",
		old: "	if w.Value.n > s.limit {\n		return false, ErrLimit\n	}\n", new: "",
	},
	{
		file: "await/sema.go", why: "wakes come after the lock is unlocked",
		old: "	list := s.serve()\n	s.mu.Unlock()\n	schedpoint.At(schedpoint.LockPicked)\n	list.Wake()\n", new: "	list := s.serve()\n	schedpoint.At(schedpoint.LockPicked)\n	list.Wake()\n	s.mu.Unlock()\n",
	},
	{
		file: "await/semawait.go", why: "a request for more than the limit does not spin",
		old: "	if n > limit {\n		return false\n	}\n", new: "",
	},
	{
		file: "await/semawait.go", why: "a wait on a dead context fails",
		old: "	if ctx.Err() != nil {\n		return waitq.ContextError(ctx)\n	}\n	if s.tryFast", new: "	if s.tryFast",
	},
	{
		file: "await/semawait.go", why: "what was handed over wins over the context's end, in a wait on a channel",
		old: "			if left = s.leave(&k.w); !left {\n				return k.w.Value.err()", new: "			if left = s.leave(&k.w); !left {\n				return waitq.ContextError(ctx)",
	},
	{
		file: "await/semawait.go", why: "a waiter that is yet to be woken is not reused, in a wait on a channel",
		old: "				return k.w.Value.err() // it is yet to be woken, so k is not used again\n", new: "				err = k.w.Value.err()\n",
	},
	{
		file: "await/semawait.go", why: "a waiter that is yet to be woken is not reused, in a wait of a parker",
		old: "	if k.woken.Load() { // otherwise it is yet to be woken, so k is not used again\n", new: "	if true {\n",
	},
	{
		file: "await/semawait.go", why: "a waiter that left is reused",
		old: "			returned = true\n			k.free()\n			return err\n", new: "			returned = true\n			return err\n",
	},
	{
		file: "await/semawait.go", why: "what was handed over wins over the context's end, in a wait of a parker",
		old: "err != nil && s.leave(&k.w) {\n", new: "err != nil {\n			s.leave(&k.w)\n",
	},
	{
		file: "await/semawait.go", why: "a wait that unwinds leaves the line",
		old: "		if !returned {\n			s.abandon(&k.w, limit)\n		}\n", new: "		_ = returned\n",
	},
	{
		file: "await/semawait.go", why: "a wait that exits leaves the line",
		old: "		if !returned {\n			s.abandon(&k.w, limit)\n		}\n", new: "		if v := recover(); v != nil {\n			s.abandon(&k.w, limit)\n			panic(v)\n		}\n		_ = returned\n",
	},
	{
		file: "await/semawait.go", why: "a wait that unwinds after it has left gives nothing back",
		old: "	if !s.leave(w) && w.Done() && w.Value.err() == nil {\n", new: "	if !s.leave(w) && w.Value.err() == nil {\n",
	},
	{
		file: "await/semawait.go", why: "a wait that unwinds after it was served gives its permits back",
		old: "		s.release(w.Value.n, maxSize, limit)\n", new: "",
	},
	{
		file: "await/semacase.go", why: "a Select claims before it takes",
		old: "		if a.Claim() {\n			schedpoint.At(schedpoint.LockGrants)\n", new: "		if a.Claim(); true {\n			schedpoint.At(schedpoint.LockGrants)\n",
	},
	{
		file: "await/semacase.go", why: "a Select looks again under the lock",
		old: "	case s.line.Len() == 0 && held(s.word.Load()) <= s.limit-c.n:\n", new: "	case false:\n",
	},
	{
		file: "await/semacase.go", why: "what a Select finds free stays free until it has claimed",
		old: "	s.word.Or(waiting)\n	schedpoint.At(schedpoint.LockSelects)\n", new: "	if s.line.Len() > 0 || held(s.word.Load()) > s.limit-c.n {\n		s.word.Or(waiting)\n	}\n	schedpoint.At(schedpoint.LockSelects)\n",
	},
	{
		file: "await/semacase.go", why: "a Select does not overtake the line",
		old: "	case s.line.Len() == 0 && held(s.word.Load()) <= s.limit-c.n:\n", new: "	case held(s.word.Load()) <= s.limit-c.n:\n",
	},
	{
		file: "await/semacase.go", why: "a Select that does not get in line leaves no flag",
		old: "	s.clearWaiting()\n	c.waiter.End(true)\n", new: "	c.waiter.End(true)\n",
	},
	{
		file: "await/semacase.go", why: "a Select that withdraws leaves the line",
		old: "	c.s.leave(c.waiter.Waiter())\n", new: "",
	},
	{
		file: "await/semacase.go", why: "a Select that unwinds gives its permits back",
		old: "	if c.Result() == nil {\n		c.s.release(c.n, maxSize, c.limit)\n	}\n", new: "	_ = c.Result()\n",
	},
	{
		file: "await/semacase.go", why: "a case's waiter that is yet to be woken is not used again",
		old: "	c.waiter.EndChosen()\n", new: "	c.waiter.End(true)\n",
	},
	{
		file: "await/holder.go", why: "holders are recorded in all calls",
		old: "		m.s.word.Or(slow)\n", new: "",
	},
	{
		file: "await/sema.go", why: "a waiter that is served is the holder",
		old: "			s.taken(w.Value.by)\n", new: "",
	},
	{
		file: "await/sema.go", why: "nobody is the holder of what was released",
		old: "			s.freed()\n", new: "",
	},
}
