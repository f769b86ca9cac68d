package main

var ofAwait = []mutation{
	{
		file: "await/once.go", why: "a caller that found no value looks again",
		old: "	if v := o.kept.Load(); v != nil { // the second look\n		return v\n	}\n", new: "",
	},
	{
		file: "await/once.go", why: "a run that all callers have left is not joined",
		old: "	if last {\n		o.run = nil\n	}\n", new: "",
	},
	{
		file: "await/once.go", why: "the function of the last to leave is canceled",
		old: "	if last {\n		r.ctx.Cancel(ErrAbandoned)\n	}\n", new: "",
	},
	{
		file: "await/once.go", why: "a caller that runs the function keeps it alive",
		old: " && r.line.Len() == 0 && !r.callerRuns\n", new: " && r.line.Len() == 0\n",
	},
	{
		file: "await/once.go", why: "the value of a run that all callers have left is dropped",
		old: "	if o.run == r {\n", new: "	if true {\n",
	},
	{
		file: "await/once.go", why: "the value is kept before a new run can begin",
		old: "		o.kept.Store(r.v)\n		o.run = nil\n",
		new: "		o.run = nil\n		o.mu.Unlock()\n		schedpoint.At(schedpoint.OnceEnds)\n		o.mu.Lock()\n		o.kept.Store(r.v)\n",
	},
	{
		file: "await/once.go", why: "the result wins over the context",
		old: "err != nil && c.run.leave(&c.w) {\n			return", new: "c.run.leave(&c.w) || err != nil {\n			return",
	},
	{
		file: "await/once.go", why: "a caller whose Park panics leaves the line",
		old: "	if !c.runs && !c.w.Done() {\n", new: "	if false {\n",
	},
	{
		file: "await/once.go", why: "the edge of a call is removed",
		old: "		c.edge.End()\n", new: "		_ = c.edge\n",
	},
	{
		file: "await/once.go", why: "a call that would close a cycle fails",
		old: "	if err == nil || !c.run.leave(&c.w) {", new: "	if c.edge == nil || c.edge != nil {",
	},
	{
		file: "await/once.go", why: "a waker cannot end the goroutine of a caller that runs the function",
		old: "	if inGoroutine { ", new: "	if inGoroutine && false { ",
	},
	{
		file: "await/fail.go", why: "the callers are woken",
		old: "	line.Release()\n", new: "	_ = line\n",
	},
	{
		file: "await/fail.go", why: "the panic of a waker ends no child",
		old: "	defer func() { _ = recover() }()\n", new: "",
	},
	{
		file: "await/tasks.go", why: "a Wait that gets in line looks again",
		old: "	if t.idle() {\n		t.finished = true\n", new: "	if t.idle() && w == nil {\n		t.finished = true\n",
	},
	{
		file: "await/tasks.go", why: "a Wait that is woken has seen the end",
		old: "	t.finished = t.finished || seen\n", new: "",
	},
	{
		file: "await/tasks.go", why: "a Wait that finds no children has seen the end",
		old: "		t.finished = true\n		return false\n", new: "		return false\n",
	},
	{
		file: "await/tasks.go", why: "functions in the queue have not ended",
		old: "return t.running == 0 && len(t.queue) == 0 }", new: "return t.running == 0 }",
	},
	{
		file: "await/tasks.go", why: "a child that ends lets the next one start",
		old: "		t.end(err, crash)\n		t.startQueued()\n", new: "		t.end(err, crash)\n",
	},
	{
		file: "await/tasks.go", why: "a higher limit lets functions start",
		old: "	t.limit = n\n	t.mu.Unlock()\n	t.startQueued()\n", new: "	t.limit = n\n	t.mu.Unlock()\n",
	},
	{
		file: "await/tasks.go", why: "a Spawner that exits keeps no other function from its start",
		old: "		if !finished {\n			t.startQueued()\n", new: "		if !finished && t == nil {\n			t.startQueued()\n",
	},
	{
		file: "await/tasks.go", why: "no more children run than the limit",
		old: "t.running >= t.limit {", new: "t.running > t.limit {",
	},
	{
		file: "await/tasks.go", why: "a function that could not be started is not counted",
		old: "		if err != nil || crash != nil {\n", new: "		if crash != nil {\n",
	},
	{
		file: "await/tasks.go", why: "the end of all wins over the context",
		old: "err != nil && t.leave(w) {\n			return", new: "t.leave(w) || err != nil {\n			return",
	},
	{
		file: "await/tasks.go", why: "a Wait whose Park panics leaves the line",
		old: "	defer t.leave(w) // if Park panics or ends the goroutine\n", new: "",
	},
	{
		file: "await/tasks.go", why: "an error is there before its child has ended",
		old: "	defer t.discount()\n", new: "	t.discount()\n",
	},
	{
		file: "await/tasks.go", why: "the first error comes out of Wait",
		old: "	if first = t.err == nil; first {\n", new: "	if first = true; first {\n",
	},
	{
		file: "await/tasks.go", why: "the context has ended when a Wait is woken",
		old: "	defer wakeLine(line)\n", new: "	wakeLine(line)\n",
	},
	{
		file: "await/tasks.go", why: "a Wait of the derived context does not end with it",
		old: "	if ctx == t.ctx {\n", new: "	if false {\n",
	},
}
