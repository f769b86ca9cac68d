package main

// ofSelects change the cases of a Select in notify and waitgroup, and what package await
// has besides locks, queues and tasks.
var ofSelects = []mutation{
	{
		file: "internal/waitq/casewaiter.go", why: "a waiter whose waker is still to be called is not used by the next Select",
		old: "		c.End(c.arm.Called())\n", new: "		c.End(true)\n",
	},
	{
		file: "internal/waitq/casewaiter.go", why: "a waiter that a notifier may still use is replaced",
		old: "		c.other = new(Waiter[T])\n", new: "		c.Waiter().Renew()\n",
	},
	{
		file: "notify/case.go", why: "a Select that another case has won is passed over",
		old: "	return w.Finish()\n", new: "	w.Finish()\n	return true\n",
	},
	{
		file: "notify/case.go", why: "a permit is reserved while a Select claims",
		old: "	for !n.state.CompareAndSwap(permit, reserved) { // the second look\n", new: "	for n.state.Load() != permit { // the second look\n",
	},
	{
		file: "notify/case.go", why: "a permit that a Select cannot take stays",
		old: "		n.state.Store(permit)\n", new: "		n.state.Store(0)\n",
	},
	{
		file: "notify/case.go", why: "a permit that a Select takes is gone",
		old: "	if c.took = a.Claim(); c.took {\n", new: "	if c.took = a.Claim(); false {\n",
	},
	{
		file: "notify/notify.go", why: "TryWait waits for a reserved permit",
		old: "	for n.state.Load()&permit != 0 { // spins", new: "	for n.state.Load() == permit { // spins",
	},
	{
		file: "notify/case.go", why: "a Select that leaves leaves the line",
		old: "	if c.n.remove(c.waiter.Waiter()) {\n		c.n.selects--\n	}\n", new: "",
	},
	{
		file: "notify/case.go", why: "the waiters of Selects are counted",
		old: "			n.selects++\n", new: "",
	},
	{
		file: "notify/case.go", why: "a Select that unwinds hands on the wake of NotifyOne",
		old: "	if c.took || c.waiter.Waiter().Value.handOn {\n", new: "	if c.took {\n",
	},
	{
		file: "notify/case.go", why: "a Select that unwinds hands on the permit that it took",
		old: "	if c.took || c.waiter.Waiter().Value.handOn {\n", new: "	if c.waiter.Waiter().Value.handOn {\n",
	},
	{
		file: "notify/case.go", why: "a Select that unwinds drops the wake of NotifyN",
		old: "	if c.took || c.waiter.Waiter().Value.handOn {\n", new: "	if true {\n",
	},
	{
		file: "notify/case.go", why: "Selects that are passed over do not count",
		old: "		if n.claim(w) {\n			list.Add(w)\n			woken++\n", new: "		woken++\n		if n.claim(w) {\n			list.Add(w)\n",
	},
	{
		file: "notify/case.go", why: "a Select under a dead context takes no permit",
		old: "	return consume && c.n.TryWait(), nil\n", new: "	return c.n.TryWait(), nil\n",
	},
	{
		file: "waitgroup/case.go", why: "a Select that finds the count zero claims",
		old: "	a.Claim()\n", new: "",
	},
	{
		file: "waitgroup/case.go", why: "a waiter that a Done may still claim is not used by the next Select",
		old: "c.waiter.End(unused) }()", new: "c.waiter.End(true) }()",
	},
	{
		file: "waitgroup/case.go", why: "a Select that a zero wakes late is not used again",
		old: "	return c.g.leave(w)\n", new: "	_ = c.g.leave(w)\n	return true\n",
	},
	{
		file: "await/value.go", why: "the second look of a wait for a newer version",
		old: "	if v.newer(w.Value) { // the second look\n", new: "	if false { // the second look\n",
	},
	{
		file: "await/value.go", why: "a waiter for a later version stays in line",
		old: "	if v.farthest < number {\n", new: "	if true {\n",
	},
	{
		file: "await/value.go", why: "the farthest waiter is remembered when others leave the line",
		old: "			v.farthest = max(v.farthest, w.Value)\n		}\n		w = next", new: "		}\n		w = next",
	},
	{
		file: "await/value.go", why: "a waiter that a version served does not fail",
		old: "	if err == nil || v.leave(w) {\n", new: "	if v.leave(w); err == nil {\n",
	},
	{
		file: "await/value.go", why: "a waiter for a version that gives up leaves the line",
		old: "	v.line.Remove(w)\n	return v.newer(w.Value)\n", new: "	return v.newer(w.Value)\n",
	},
	{
		file: "await/value.go", why: "a waiter for a version that unwinds leaves the line",
		old: "		if !w.Done() && !w.Gone() {\n			v.leave(w)\n		}\n", new: "		if v := recover(); v != nil {\n			panic(v)\n		}\n",
	},
	{
		file: "await/value.go", why: "two Updates do not begin with the same value",
		old: "	v.writing.Lock()\n	defer v.writing.Unlock()\n", new: "",
	},
	{
		file: "await/value.go", why: "an Update holds up no waits",
		old: "	next = &versioned[T]{number: number + 1, value: f(old)}\n	v.mu.Lock()\n	defer v.mu.Unlock()\n", new: "	v.mu.Lock()\n	defer v.mu.Unlock()\n	next = &versioned[T]{number: number + 1, value: f(old)}\n",
	},
	{
		file: "await/value.go", why: "Watch ends though values keep coming",
		old: "			if ctx.Err() != nil {\n", new: "			if false {\n",
	},
	{
		file: "await/value.go", why: "a Select that finds a newer version claims",
		old: "	c.waiter.End(true)\n	a.Claim()\n", new: "	c.waiter.End(true)\n",
	},
	{
		file: "await/value.go", why: "a waiter that a Store may still claim is not used by the next Select",
		old: "	unused = !c.v.leave(c.waiter.Waiter())\n", new: "	c.v.leave(c.waiter.Waiter())\n	unused = true\n",
	},
	{
		file: "await/after.go", why: "an arm that a timer may still use is not used again",
		old: "return a.timer.Stop() }", new: "a.timer.Stop(); return true }",
	},
	{
		file: "await/after.go", why: "a Select stops its timer",
		old: "return a.timer.Stop() }", new: "return false }",
	},
	{
		file: "await/sleep.go", why: "a Sleep that ends early stops its timer",
		old: "	defer timer.Stop() // also if Park panics\n", new: "	_ = timer\n",
	},
}
