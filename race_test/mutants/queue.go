package main

var ofQueue = []mutation{
	{
		file: "await/queuewait.go", why: "a Take that gets in line looks again",
		old: "		got, done, putter, err = q.takeLocked()\n", new: "",
	},
	{
		file: "await/queuewait.go", why: "a Put that gets in line looks again",
		old: "		done, taker, err = q.putLocked(v)\n", new: "",
	},
	{
		file: "await/queuecase.go", why: "a case that gets in line looks again",
		old: "	if !q.possible(c.side) {\n", new: "	if true {\n",
	},
	{
		file: "await/queuecase.go", why: "a case that is possible claims its Select first",
		old: "	case !a.Claim(): // another case has happened\n", new: "	case a.Claim() && false:\n",
	},
	{
		file: "await/queue.go", why: "a taker whose Select is claimed is passed over",
		old: "		w.Value.v = v\n		if w.Finish() {\n			return w\n		}\n", new: "		w.Value.v = v\n		w.Finish()\n		return w\n",
	},
	{
		file: "await/queue.go", why: "a putter whose Select is claimed is passed over",
		old: "		if v := w.Value.v; w.Finish() {\n			q.push(v)\n			return w\n		}\n", new: "		v := w.Value.v\n		w.Finish()\n		q.push(v)\n		return w\n",
	},
	{
		file: "await/queue.go", why: "a value that was offered to a claimed Select is not kept",
		old: "		w.Value = item[T]{} // another case of its Select has happened\n", new: "",
	},
	{
		file: "await/queue.go", why: "a served taker leaves the line",
		old: "		q.takers.Remove(w)\n		w.Value.v = v\n		if w.Finish() {\n			return w\n", new: "		w.Value.v = v\n		if w.Finish() {\n			return w\n",
	},
	{
		file: "await/queue.go", why: "a taker in line is served before the buffer",
		old: "	if taker = q.handOver(v); taker != nil {\n		return true, taker, nil\n	}\n	if q.n >= q.capacity {\n		return false, nil, nil\n	}\n	q.push(v)\n	return true, nil, nil\n",
		new: "	if q.n >= q.capacity {\n		if taker = q.handOver(v); taker != nil {\n			return true, taker, nil\n		}\n		return false, nil, nil\n	}\n	q.push(v)\n	return true, nil, nil\n",
	},
	{
		file: "await/queue.go", why: "a taken value lets a putter in",
		old: "			putter = q.letIn()\n", new: "			_ = putter\n",
	},
	{
		file: "await/queue.go", why: "an overfull Queue lets no putter in",
		old: "		if q.n < q.capacity {\n			putter = q.letIn()\n		}\n", new: "		putter = q.letIn()\n",
	},
	{
		file: "await/queue.go", why: "an overfull Queue is full",
		old: "	if q.n >= q.capacity {\n", new: "	if q.n == q.capacity {\n",
	},
	{
		file: "await/queue.go", why: "a closed Queue is drained before takers are refused",
		old: "	switch {\n	case q.n > 0:\n		v = q.pop()", new: "	switch {\n	case q.n > 0 && !q.closed:\n		v = q.pop()",
	},
	{
		file: "await/queue.go", why: "Close refuses the takers in line",
		old: "	list.Join(q.refuse(&q.takers))\n", new: "",
	},
	{
		file: "await/queue.go", why: "Close refuses the putters in line",
		old: "	list := q.refuse(&q.putters)\n	list.Join(q.refuse(&q.takers))\n", new: "	list := q.refuse(&q.takers)\n",
	},
	{
		file: "await/queue.go", why: "Close goes on after a waker that exits",
		old: "	list.Wake()\n	return nil\n", new: "	for w := list.Pop(); w != nil; w = list.Pop() {\n		w.Wake()\n	}\n	return nil\n",
	},
	{
		file: "await/queue.go", why: "the buffer keeps no value that was taken",
		old: "	v, q.buf[q.first] = q.buf[q.first], v\n", new: "	v = q.buf[q.first]\n",
	},
	{
		file: "await/queue.go", why: "a Take whose putter's waker exits puts its value back",
		old: "		if !returned {\n			q.putBack(v)\n		}\n", new: "		if r := recover(); r != nil {\n			q.putBack(v)\n			panic(r)\n		}\n		_ = returned\n",
	},
	{
		file: "await/queue.go", why: "a value that comes back goes to the first taker in line",
		old: "	w := q.handOver(v)\n	if w == nil {\n		q.pushFront(v)\n	}\n", new: "	var w *waitq.Waiter[item[T]]\n	q.pushFront(v)\n",
	},
	{
		file: "await/queue.go", why: "a value that comes back is the oldest",
		old: "		q.pushFront(v)\n", new: "		q.pushFront(v)\n		for range q.n - 1 {\n			q.push(q.pop())\n		}\n",
	},
	{
		file: "await/queue.go", why: "a value that comes back does not replace another",
		old: "	if q.n == len(q.buf) {\n", new: "	if q.n > len(q.buf) {\n",
	},
	{
		file: "await/queuewait.go", why: "what was handed over wins over the context",
		old: "			if q.leave(&k.w, s) {\n				return got, waitq.ContextError(ctx)\n			}\n", new: "			q.leave(&k.w, s)\n			if true {\n				return got, waitq.ContextError(ctx)\n			}\n",
	},
	{
		file: "await/queuewait.go", why: "what was handed over wins over a Park that fails",
		old: "			if q.leave(w, s) {\n				return v, waitq.ParkError(ctx, err)\n			}\n			break // served\n", new: "			q.leave(w, s)\n			return v, waitq.ParkError(ctx, err)\n",
	},
	{
		file: "await/queuewait.go", why: "a waiter that gives up leaves the line",
		old: "	return q.line(s).Remove(w)\n", new: "	return q.line(s).Has(w)\n",
	},
	{
		file: "await/queuewait.go", why: "a parked waiter leaves the line before it calls the context's Err",
		old: "			if q.leave(w, s) {\n				return v, waitq.ParkError(ctx, err)\n			}\n", new: "			err = waitq.ParkError(ctx, err)\n			if q.leave(w, s) {\n				return v, err\n			}\n",
	},
	{
		file: "await/queuewait.go", why: "a parked waiter looks whether it is done",
		old: "	for !w.Done() {\n", new: "	for first := true; first; first = false {\n",
	},
	{
		file: "await/queuewait.go", why: "a waiter that unwinds leaves the line",
		old: "		if !returned {\n			q.abandon(w, s)\n		}\n", new: "		_ = returned\n",
	},
	{
		file: "await/queuewait.go", why: "a waiter that has left puts nothing back",
		old: "q.leave(w, s) || !w.Done() || s == putting", new: "q.leave(w, s) || s == putting",
	},
	{
		file: "await/queuewait.go", why: "a putter that unwinds has put and puts nothing back",
		old: "q.leave(w, s) || !w.Done() || s == putting", new: "q.leave(w, s) || !w.Done()",
	},
	{
		file: "await/queuewait.go", why: "a waiter that was refused puts nothing back",
		old: "	if v, err := w.Value.result(s); err == nil {\n		q.putBack(v)\n	}\n", new: "	v, _ := w.Value.result(s)\n	q.putBack(v)\n",
	},
	{
		file: "await/queuewait.go", why: "a pooled waiter whose waker is still to be called is not reused",
		old: "			return k.w.Value.result(s) // served: it is yet to be woken, so k is not used again\n", new: "			got, err = k.w.Value.result(s)\n",
	},
	{
		file: "await/queuewait.go", why: "a reused waiter keeps no value",
		old: "		k.sleeper.Sleep(&q.mu)\n		got, err = k.w.Value.result(s)\n	}\n	k.w.Renew()\n", new: "		k.sleeper.Sleep(&q.mu)\n		got, err = k.w.Value.result(s)\n		old := k.w.Value\n		k.w.Renew()\n		k.w.Value = old\n	}\n",
	},
	{
		file: "await/queuecase.go", why: "a case that was chosen keeps no value",
		old: "	w.Value = item[T]{}\n	c.waiter.EndChosen()\n", new: "	c.waiter.EndChosen()\n",
	},
	{
		file: "await/queuecase.go", why: "a case whose waker is still to be called gets another waiter",
		old: "	c.waiter.EndChosen()\n", new: "	c.waiter.End(true)\n",
	},
	{
		file: "await/queuecase.go", why: "a Select that unwinds puts back what its case took",
		old: "	if v, err := c.take(); err == nil && c.side == taking {\n		c.q.putBack(v)\n	}\n", new: "	_, _ = c.take()\n",
	},
	{
		file: "await/queuecase.go", why: "a Select that unwinds has put and puts nothing back",
		old: "err == nil && c.side == taking {\n		c.q.putBack(v)", new: "err == nil {\n		c.q.putBack(v)",
	},
	{
		file: "await/queuecase.go", why: "a case that lost leaves its line",
		old: "	c.q.leave(c.waiter.Waiter(), c.side)\n", new: "",
	},
}
