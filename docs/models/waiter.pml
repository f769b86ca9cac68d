/*
 * A waiter's life: how it gets in line, is picked and woken, gives up, and what
 * becomes of a wake that it got and has no use for. notify/notify.go and sleep.go
 * with internal/waitq and wake/wake.go; labels and inlines are the steps of the
 * code. README.md says what is left out; check.sh runs this as it is, and
 * broken in each way that an #ifdef shows.
 *
 * The word of a Notify, and who may change it:
 *
 *               storePermit                   enter, under mu
 *     +--------+ <---------------- +---+ -----------------> +---------+
 *     | permit |                   | 0 |                    | waiting |
 *     +--------+ ----------------> +---+ <----------------- +---------+
 *               TryWait, or enter             clearWaiting, under mu
 *
 * A waiter:    enter, (look, park) until it is done
 *              ... Park fails: leave, which tells whether it was picked
 *              ... Park ends the goroutine: abandon, which hands the wake on
 * A notifier:  NotifyOne: storePermit, or pick: lock, take out of line, unlock,
 *              finish, wake. NotifyWaiters: detach, finish and wake each
 *
 * A waiter is made for each wait, and its parker, with room for one permit, is
 * the goroutine's, as a task's is: a wake may come when the next wait has begun.
 * A goroutine that has no parker waits in one of two other ways. Both give the
 * waiter back when they have been woken, or have left the line by themselves, and
 * another wait may have it then, so nobody may touch it any more.
 *
 * A sleeper:   enter, sleep, with a ticket that it takes while it has mu, until
 *              it is woken. Nothing else ends its wait, and it does not look
 * A selector:  enter, select: it is called, or the context ends: leave, which
 *              tells whether it was picked
 *
 * What only the holder of mu can change is changed in one step: the line, and the
 * word while it says waiting.
 *
 * Bounds: WAITERS goroutines that wait WAITS times, NOTIFIERS that notify ACTIONS
 * times, each stopping when it likes; QUIRKS returns of Park without a reason.
 * NO_PARKERS and NO_GOROUTINES leave out who has one, and who has none.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef WAITS
#define WAITS 2
#endif
#ifndef NOTIFIERS
#define NOTIFIERS 1
#endif
#ifndef ACTIONS
#define ACTIONS 2
#endif
#ifndef QUIRKS
#define QUIRKS 1
#endif

#define PERMIT	1
#define WAITING	2

#define ALL	(WAITERS * WAITS)
#define NIL	255
#define GOROUTINE(w)	(w % WAITERS)

mtype = { endless, ends, dies,	/* contexts; dies: Park ends the goroutine */
	sleeper, selector };	/* no parker; a selector's context ends */

byte state;			/* of the Notify */
bool mu;
chan line = [WAITERS] of { byte };
byte turn = 1;			/* of the line */
byte turn_of[ALL];		/* in which the waiter was pushed; 0: not in line */
bool hand_on[ALL];
bool done[ALL];
bool permit[WAITERS];		/* of the goroutine's parker */
bool goroutine[ALL];		/* the waiter is one without a parker */
bool ticket[ALL];		/* who sleeps can be woken, or it has a channel */
bool called[ALL];
byte quirks = QUIRKS;

/* What only the checks look at. */
byte owed;			/* wakes of NotifyOne that nobody consumed yet */
bool picked[ALL];		/* left the line by somebody's wake */
bool woken[ALL];		/* its waker was called */
bool over[ALL];			/* its wait returned */
bool free[ALL];			/* it was given back */
bool asleep[WAITERS];		/* with a context that goes on */

inline lock() { !mu -> mu = true }

inline unlock() {
#ifndef LATE_PUSH
	assert((state == WAITING) == (len(line) > 0));		/* 4 */
#endif
	mu = false
}

/* Nobody looks at it again. This keeps the number of states down. */
inline forget(x) {
	done[x] = false;
	hand_on[x] = false;
	goroutine[x] = false;
	ticket[x] = false;
	called[x] = false;
	picked[x] = false;
	woken[x] = false;
	over[x] = false
}

#define HAS(w)	(turn_of[w] == turn && !done[w])

/* Queue.Remove: ok tells whether x was in line. */
inline remove(x) {
	if
	:: ok && line??[eval(x)] -> line??eval(x); turn_of[x] = 0; clear_waiting()
	:: else
	fi
}

inline clear_waiting() {
#ifdef NO_CLEAR
	skip
#else
	if
	:: len(line) == 0 && state == WAITING -> state = 0
	:: else
	fi
#endif
}

/* Notify.storePermit: ok tells whether the permit was left, or was there. New is 1
 * for a new wake, 0 for one that is handed on. */
inline store_permit(new) {
	do
	:: d_step { s = state; ok = !(s & WAITING) };
		if
		:: !ok -> break
		:: else
		fi;
#ifdef KEEP_STORE
		d_step { state = PERMIT; owed = owed + new - (s & PERMIT) };
		break
#else
		if
		:: d_step { state == s -> state = PERMIT; owed = owed + new - (s & PERMIT) };
			break
		:: else
		fi
#endif
	od;
	s = 0
}

/* Notify.pass: who is to be woken, or NIL. mu is locked. */
inline pass(new) {
	if
	:: len(line) == 0 ->
#ifndef PASS_NO_KEEP
		store_permit(new);
#endif
		ok = false
	:: else -> d_step {
		line?<next>;
#ifndef LATE_HAND_ON
		hand_on[next] = true;
#endif
		picked[next] = true;
		owed = owed + new;
		line?eval(next);
		turn_of[next] = 0;
		clear_waiting() }
	fi
}

/* Finish and Wake. No lock is held. */
inline deliver() {
	if
	:: next != NIL ->
#ifdef LATE_HAND_ON
		hand_on[next] = true;
#endif
		finish_and_wake()
	:: else
	fi
}

inline finish_and_wake() {
#ifdef WAKE_FIRST
	wake(next);
	finish(next);
#else
	finish(next);
	wake(next);
#endif
	next = NIL
}

inline finish(x) {
	d_step {
		assert(!free[x]);				/* 6 */
		done[x] = true
	}
}

inline wake(x) {
	d_step {
		assert(picked[x] && !woken[x]);			/* 5 */
		assert(!free[x]);				/* 6 */
		woken[x] = true;
		if
		:: goroutine[x] -> called[x] = ticket[x]
#ifdef UNBUFFERED
		:: else -> permit[GOROUTINE(x)] = asleep[GOROUTINE(x)]
#else
		:: else -> permit[GOROUTINE(x)] = true
#endif
		fi;
		if
		:: over[x] -> forget(x)
		:: else
		fi
	}
}

active [WAITERS] proctype waiter() {
	byte waits, next = NIL, s;
	bool ok;
	mtype ctx;
#define w	(_pid + waits * WAITERS)

next_wait:
	if
	:: waits < WAITS
	:: waits < WAITS -> waits = WAITS; goto home
	:: else -> goto home
	fi;
try_wait:
	s = state;
	if
	:: s & PERMIT ->
		if
		:: d_step { state == PERMIT -> state = 0; owed--; s = 0 }; goto finished
		:: else
		fi
	:: else
	fi;
	s = 0;
enter:
	atomic { lock() };
	do
	:: d_step { state == 0 -> state = WAITING }; break
	:: else ->
#ifdef WAITING_STORE
		state = WAITING;		/* whatever it is */
		break
#else
		s = state;
		if
		:: s == WAITING -> break
		:: s == PERMIT ->
			if
			:: d_step { state == PERMIT -> state = 0; owed--; s = 0 };
				d_step { unlock() };
				goto finished
			:: else
			fi
		:: else
		fi
#endif
	od;
#ifdef LATE_PUSH
	atomic { unlock() };
	atomic { lock() };
#endif
	if
#ifndef NO_PARKERS
	:: ctx = endless
	:: ctx = ends
	:: ctx = dies
#endif
#ifndef NO_GOROUTINES
	:: ctx = sleeper
	:: ctx = selector
#endif
	fi;
	atomic {
		line!w; turn_of[w] = turn; s = 0;
		goroutine[w] = (ctx == sleeper || ctx == selector);
#ifdef LATE_TICKET
		ticket[w] = (ctx == selector);
#else
		ticket[w] = goroutine[w];
#endif
		unlock()
	};
	if
	:: ctx == sleeper -> goto sleeps
	:: ctx == selector -> goto selects
	:: else
	fi;

look:
#ifndef NO_LOOK
	if
	:: done[w] -> goto consume
	:: else
	fi;
#endif
	asleep[_pid] = (ctx == endless);
end_park:
	if
	:: atomic { permit[_pid] -> permit[_pid] = false }
	:: d_step { quirks > 0 -> quirks-- }
	:: ctx == ends ->
		if
		:: atomic { permit[_pid] -> permit[_pid] = false; goto parked }
		:: else
		fi;
		goto leave
	:: ctx == dies -> goto abandon
	fi;
parked:
	asleep[_pid] = false;
#ifdef NO_LOOK
	goto consume;
#else
	goto look;
#endif

sleeps:
#ifdef LATE_TICKET
	ticket[w] = true;
#endif
	asleep[_pid] = true;
end_sleep:
	atomic { called[w] -> asleep[_pid] = false; free[w] = true };
	goto consume;

selects:
	if
	:: atomic { called[w] -> free[w] = true }; goto consume
	:: true				/* the context has ended; both may be so */
	fi;

leave:
#ifdef SPLIT_LEAVE
	ok = HAS(w);
#endif
	atomic {
		lock();
#ifndef SPLIT_LEAVE
		ok = HAS(w);
#endif
#ifdef LEAVE_BLINDLY
		ok = true;
#endif
		remove(w);
		unlock()
	};
	if
#ifdef FREE_ANYWAY
	:: goroutine[w] -> free[w] = true
#else
	:: goroutine[w] && ok -> free[w] = true
#endif
	:: else
	fi;
	if
	:: !ok -> goto consume
	:: else -> assert(!picked[w]); goto finished		/* 3 */
	fi;

abandon:
	atomic {
		lock();
		ok = HAS(w);
		remove(w)
	};
	if
#ifdef PASS_ALL
	:: !ok -> pass(0)
#elif !defined(NO_PASS)
	:: !ok && hand_on[w] -> pass(0)
#endif
	:: else
	fi;
	d_step { unlock() };
	deliver();
	goto finished;

consume:
	atomic {
		assert(picked[w]);				/* 3 */
		owed = owed - hand_on[w]
	};
finished:
	atomic {
		ok = false;
		ctx = 0;
		asleep[_pid] = false;
		turn_of[w] = 0;
		over[w] = true;
		if
		:: woken[w] || !picked[w] -> forget(w)
		:: else
		fi;
		waits++
	};
	goto next_wait;
home:
	skip
#undef w
}

/* The whole line, in one step. */
inline detach() {
	do
	:: len(line) > 0 -> line?next; list!next; picked[next] = true
	:: else -> break
	od;
	next = NIL;
#ifndef NO_TURN
	turn++;
#endif
	clear_waiting()
}

active [NOTIFIERS] proctype notifier() {
	byte actions = ACTIONS, next = NIL, s;
	bool ok;
	chan list = [WAITERS] of { byte };

next_deed:
	if
	:: actions > 0 -> actions--; goto notify_one
	:: actions > 0 -> actions--; goto notify_waiters
	:: actions = 0; goto home
	fi;

notify_one:
	store_permit(1);
	if
	:: ok -> goto done_deed
	:: else
	fi;
pick:
	atomic { lock() };
	pass(1);
	d_step { unlock() };
	deliver();
	goto done_deed;

notify_waiters:
	if
	:: state & WAITING
	:: else -> goto done_deed
	fi;
	atomic {
		lock();
		if
		:: len(line) > 0 -> detach()
		:: else
		fi;
		unlock()
	};
release:
	do
	:: list?next -> finish_and_wake()
	:: empty(list) -> break
	od;
done_deed:
	ok = false;
	goto next_deed;
home:
	skip
}

/* Nobody can move: is all well? 1 */
active proctype rest() {
	byte w;

	timeout;
	d_step {
		assert(!mu);
		assert(owed == (state & PERMIT));		/* 2 */
		do
		:: w < ALL -> assert(picked[w] == woken[w]); w++
		:: else -> break
		od;
		assert(len(line) == asleep[0] + asleep[1]
#if WAITERS > 2
			+ asleep[2]
#endif
			)
	}
}
