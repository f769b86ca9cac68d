package main

import "slices"

// mutations are the changes to try, each by itself.
var mutations = slices.Concat(ofWaits, ofClaims, ofSelects, ofMap, ofDedup, ofRings, ofStreams, ofRefusals, ofLocks, ofQueue, ofAwait, ofFiles)

var ofWaits = []mutation{
	{
		file: "internal/waitq/waitq.go", why: "Await looks before it parks",
		old: "	for !w.Done() {\n		schedpoint.At(schedpoint.WaiterLooks)\n		err := p.Park(ctx)\n",
		new: "	for {\n		err := p.Park(ctx)\n		if err == nil && w.Done() {\n			return nil\n		}\n",
	},
	{
		file: "internal/waitq/waitq.go", why: "a delivered result wins over the end of the context",
		old: "err != nil && w.Abandon() {", new: "err != nil {\n			w.Abandon()",
	},
	{
		file: "internal/waitq/waitq.go", why: "a finished waiter is not finished again",
		old: "return s&(done|gone) == 0 && atomic", new: "return atomic",
	},
	{
		file: "internal/waitq/waitq.go", why: "Release wakes",
		old: "			schedpoint.At(schedpoint.WaiterWon)\n			w.Wake()\n", new: "			schedpoint.At(schedpoint.WaiterWon)\n",
	},
	{
		file: "internal/waitq/waitq.go", why: "detaching a line begins a new turn",
		old: "	q.turn++\n	return l", new: "	return l",
	},
	{
		file: "internal/waitq/waitq.go", why: "Push appends at the end of the line",
		old: "	tail.next, w.prev, q.head.prev = w, tail, w\n", new: "	w.next, q.head.prev, w.prev = q.head, w, tail\n	q.head = w\n",
	},
	{
		file: "wake/wake.go", why: "a permit wins over the context",
		old: "	select { // select picks at random when both are ready; the permit wins\n	case <-p:\n		return nil\n	default:\n		return ended(ctx)\n	}",
		new: "	return ended(ctx)",
	},
	{
		file: "wake/wake.go", why: "a permit is kept for a later Park",
		old: "make(chanParker, 1)", new: "make(chanParker)",
	},
	{
		file: "notify/sleep.go", why: "a goroutine's channel is kept",
		old: "	k.Reuse(done)\n", new: "",
	},
	{
		file: "notify/sleep.go", why: "a goroutine's waiter is kept",
		old: "	sleepers.Put(s)\n", new: "",
	},
	{
		file: "notify/notify.go", why: "the second look under the lock",
		old: "			if n.state.CompareAndSwap(permit, 0) {\n				return false\n			}", new: "			if n.state.CompareAndSwap(permit, waiting) {\n				n.line.Push(w)\n				return true\n			}",
	},
	{
		file: "notify/sleep.go", why: "the Wait of a picked waiter does not fail",
		old: "			if n.leave(w) {\n				return waitq.ParkError(ctx, err)\n			}\n			return nil", new: "			n.leave(w)\n			return waitq.ParkError(ctx, err)",
	},
	{
		file: "notify/notify.go", why: "a wake for an empty line is stored as a permit",
		old: "	n.storePermit() // mu keeps others from getting in line\n", new: "",
	},
	{
		file: "notify/sleep.go", why: "a waiter that gives up hands the wake on",
		old: "	if !n.remove(w) && w.Value.handOn {\n		next", new: "	if n.remove(w); false {\n		next",
	},
	{
		file: "notify/notify.go", why: "the waiting bit is cleared when the line is empty",
		old: "	ok := n.line.Remove(w)\n	n.clearWaiting()\n", new: "	ok := n.line.Remove(w)\n",
	},
	{
		file: "notify/notify.go", why: "a picked waiter leaves the line under the lock",
		old: "		w.Value.handOn = true\n		n.remove(w)\n", new: "		w.Value.handOn = true\n",
	},
	{
		file: "notify/listener.go", why: "Stop hands the wake on",
		old: "			next = l.n.pickLocked(oldest)\n", new: "",
	},
	{
		file: "notify/listener.go", why: "a consumed wake is not handed on",
		old: "	if l.w.Value.used {\n		return false\n	}\n", new: "",
	},
	{
		file: "waitgroup/group.go", why: "the count is checked when the ticket is drawn",
		old: "		if s < one {\n			return false\n		}\n		next", new: "		next",
	},
	{
		file: "waitgroup/group.go", why: "only waiters older than the zero are released",
		old: "if w := g.line.Back(); w == nil || w.Value < t {", new: "if w := g.line.Back(); w == nil || t > 0 {",
	},
	{
		file: "waitgroup/group.go", why: "an Add that counts up from zero also releases",
		old: "count == 0 || count == int64(n) && !wrong {", new: "count == 0 {",
	},
	{
		file: "waitgroup/group.go", why: "a waiter that leaves at zero was released",
		old: "		due = g.detachOlder(s)\n", new: "",
	},
	{
		file: "waitgroup/group.go", why: "Done sees the waiters",
		old: "	if s := g.state.Add(-one); s < 0 || s&waiting != 0 {", new: "	if s := g.state.Add(-one); s < 0 {",
	},
	{
		file: "notify/sleep.go", why: "a Wait that NotifyOne woke and that unwinds hands the wake on",
		old: "if !n.remove(w) && w.Value.handOn {", new: "if !n.remove(w) && false {",
	},
	{
		file: "notify/sleep.go", why: "a Wait that NotifyN woke and that unwinds keeps the wake",
		old: "if !n.remove(w) && w.Value.handOn {", new: "if !n.remove(w) {",
	},
	{
		file: "notify/listener.go", why: "Stop does not hand on a wake of NotifyN",
		old: "		if l.w.Value.handOn {\n", new: "		if true {\n",
	},
	{
		file: "notify/wakers.go", why: "a Wait for a Listener that unwinds leaves the Listener's line",
		old: "	defer l.abandon(j) // if Park ends the goroutine or panics\n", new: "",
	},
	{
		file: "notify/wakers.go", why: "the waker is called even if a parker panics or exits",
		old: "		defer ws.user.Wake() // last, even if a parker panics\n	}\n	joined := ws.joined.Detach()\n	joined.Release()", new: "	}\n	joined := ws.joined.Detach()\n	joined.Release()\n	if ws.user != nil {\n		ws.user.Wake()\n	}",
	},
	{
		file: "notify/listener.go", why: "a Register whose waker exits hands the permit on",
		old: "		if !returned { // w panicked, so the caller gets no Listener\n			l.Stop()\n		}\n", new: "		if v := recover(); v != nil {\n			l.Stop()\n			panic(v)\n		}\n		_ = returned\n",
	},
	{
		file: "notify/sleep.go", why: "a waiter leaves the line before it calls the context's Err",
		old: "			if n.leave(w) {\n				return waitq.ParkError(ctx, err)\n			}\n", new: "			err = waitq.ParkError(ctx, err)\n			if n.leave(w) {\n				return err\n			}\n",
	},
	{
		file: "notify/sleep.go", why: "a picked waiter does not fail, in a Wait on a channel",
		old: "			if n.leave(&k.w) {\n				return waitq.ContextError(ctx)\n			}\n			return nil", new: "			n.leave(&k.w)\n			return waitq.ContextError(ctx)",
	},
	{
		file: "notify/sleep.go", why: "a waiter whose waker is still to be called is not reused",
		old: "			return nil // picked: a notifier has yet to wake k, so k is not used again\n", new: "			break\n",
	},
	{
		file: "notify/wakers.go", why: "a Listener's waiter whose waker is still to be called is not reused",
		old: "			return err // a notifier has yet to wake k\n", new: "			k.free(ctx.Done())\n			return err\n",
	},
	{
		file: "notify/wakers.go", why: "a waiter that gives up removes only itself from a Listener's line",
		old: "		if w == (*soleWaiter)(j) {\n", new: "		if w != nil {\n",
	},
	{
		file: "notify/wakers.go", why: "the sole waiter in Wait is woken if there are other wakers",
		old: "		ws.joined.Push((*waiter)(w))\n", new: "",
	},
	{
		file: "notify/wakers.go", why: "the channel is sent on if there are other wakers",
		old: "	ws.channel.Wake()\n", new: "",
	},
	{
		file: "notify/listener.go", why: "Stop wakes the waiters",
		old: "	releaseWaiters(w)\n", new: "	_ = w\n",
	},
	{
		file: "internal/waitq/sleeper.go", why: "a sleeper draws its ticket before the lock is released",
		old: "	s.cond.L = (*left)(mu)\n", new: "	var own sync.Mutex\n	own.Lock()\n	s.cond.L = (*left)(&own)\n	mu.Unlock()\n",
	},
	{
		file: "internal/waitq/selector.go", why: "a channel made in a bubble is not kept",
		old: "s.kept = !InBubble()", new: "s.kept = true",
	},
	{
		file: "internal/waitq/selector.go", why: "a channel is kept for one context only",
		old: "	if !s.kept || s.done != done {\n", new: "	if !s.kept {\n",
	},
	{
		file: "waitgroup/group.go", why: "a waiter leaves the line before it calls the context's Err",
		old: "			if g.leave(w) {\n				return waitq.ParkError(ctx, err)\n			}\n", new: "			err = waitq.ParkError(ctx, err)\n			if g.leave(w) {\n				return err\n			}\n",
	},
	{
		file: "waitgroup/group.go", why: "a Wait that unwinds leaves the line",
		old: "	defer g.abandon(w)\n", new: "",
	},
	{
		file: "internal/waitq/waitq.go", why: "Release goes on after a waker that exits",
		old: "	defer func() {\n		if l.head != nil {\n			l.Release()\n		}\n	}()\n", new: "	defer func() {\n		if v := recover(); v != nil {\n			l.Release()\n			panic(v)\n		}\n	}()\n",
	},
	{
		file: "vigildebug/shield.go", why: "the page shows that a source panicked",
		old: "if v := recover(); v != nil {", new: "if v := any(nil); v != nil {",
	},
	{
		file: "vigildebug/shield.go", why: "the sources after a failed one are read",
		old: "	for i := 0; i < n; i++ {\n		done", new: "	for i := 0; i == 0 && i < n; i++ {\n		done",
	},
	{
		file: "vigildebug/shield.go", why: "a source that exits does not end the page",
		old: "		go func() {\n			defer close(done)\n			defer func() {\n				why", new: "		func() {\n			defer close(done)\n			defer func() {\n				why",
	},
	{
		file: "vigildebug/shield.go", why: "the value of a panic is not on the page",
		old: "panicked with a %T", new: "panicked with a %v",
	},
	{
		file: "vigildebug/waits.go", why: "a time that JSON cannot encode does not fail the answer",
		old: "presentable(r.since)", new: "r.since",
	},
	{
		file: "internal/waitq/context.go", why: "errors need not be comparable",
		old: "same(cause, err)", new: "cause == err",
	},
	{
		file: "internal/waitq/waitq.go", why: "Release skips waiters that gave up",
		old: "		if w.Finish() {\n			schedpoint.At(schedpoint.WaiterWon)\n", new: "		if w.Finish(); true {\n			schedpoint.At(schedpoint.WaiterWon)\n",
	},
}
