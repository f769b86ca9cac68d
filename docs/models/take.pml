/*
 * One key of a Map: Store, Take, Wait and LoadAndDelete. waitmap/grip.go,
 * shard.go, line.go, engine.go, write.go and wait.go; labels and inlines are
 * the steps of the code. README.md says what is left out; check.sh runs this as
 * it is, and broken in each way that an #ifdef shows.
 *
 *     Store:   grab the key's home, if it has no lines: put, unlock
 *              else, if it tells of takers: under the lines' lock hand over
 *              else: the lines' lock if the home has some, the home's, and
 *              look again whether it has; hand over or put; unlock both
 *     Take:    LoadAndDelete; else lock the lines, announce them in the home,
 *              look again, get in line, sleep
 *              ... its context ends: abandon, unless a value came; leave
 *
 * What only the holder of a lock can see is changed in one step.
 *
 * Bounds: TAKERS, WITNESSES in Wait and DELETERS, each once; STORERS that store
 * STORES values each. Contexts end whenever they like, or never.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef WITNESSES
#define WITNESSES 1
#endif
#ifndef DELETERS
#define DELETERS 0
#endif
#ifndef STORERS
#define STORERS 1
#endif
#ifndef STORES
#define STORES 2
#endif

#define WAITERS	(TAKERS + WITNESSES)
#define VALUES	(STORERS * STORES)
#define EXCLUSIVE(w)	(w < TAKERS)

mtype = { waiting, done, gone };

/* The home's meta word, and the cell. */
bool locked, live, lines, takers;
byte cell;

bool mu;				/* the lines' */
chan line = [WAITERS] of { byte };	/* the key's */
mtype fate[WAITERS] = waiting;
byte given[WAITERS];
bool permit[WAITERS];			/* of the waiter's parker */

/* What only the checks look at. */
byte left[VALUES + 1];			/* how often a value has left the map, or was never put there */
bool finished[VALUES + 1];		/* its Store has returned */
bool asleep[WAITERS];			/* with a context that goes on */

inline put(v) {
	d_step {
		if
		:: live -> left[cell]++		/* overwritten */
		:: else
		fi;
		cell = v;
		live = true
	}
}

/* engine.grab: ok tells that the home is locked, hint what it told of takers. */
inline grab() {
	hint = takers;
	if
#ifdef GRAB_LINES
	:: d_step { !locked -> locked = true; ok = true }
#else
	:: d_step { !locked && !lines -> locked = true; ok = true }
#endif
	:: ok = false			/* the word is another one by now */
	fi
}

/* shard.lock: busy tells that the lines are locked too. */
inline acquire() {
	busy = false;
	do
	:: busy = busy || lines;
		if
		:: busy -> atomic { !mu -> mu = true }
		:: else
		fi;
		atomic { !locked -> locked = true };
		if
#ifdef NO_RECHECK
		:: true -> break
#else
		:: busy || !lines -> break
#endif
		:: else -> locked = false		/* in the right order, then */
		fi
	od
}

/* spot.leaveLine and the home's unlock. */
inline letGo() {
	d_step {
		if
#ifdef CLEAR_BLINDLY
		:: busy -> lines = false; takers = false
#else
		:: busy && len(line) == 0 && len(served) == 0 -> lines = false; takers = false
#endif
		:: else
		fi;
		locked = false
	}
}

/* lineHead.hand: the first taker that has not given up, or NONE. */
#define NONE	255
inline hand(v) {
	taker = NONE;
	n = len(line);
	do
	:: n > 0 && taker == NONE ->
		n--;
		d_step {
			line?w;
			if
			:: !EXCLUSIVE(w) -> line!w	/* goes round: the order stays */
			:: else -> given[w] = v
			fi
		};
		if
		:: EXCLUSIVE(w) ->
#ifdef HAND_BLINDLY
			d_step { if :: fate[w] == waiting -> fate[w] = done :: else fi; taker = w }
#else
			if
			:: d_step { fate[w] == waiting -> fate[w] = done; taker = w }
			:: fate[w] != waiting		/* has given up: the next one's */
			fi
#endif
		:: else
		fi
	:: d_step { n > 0 && taker != NONE -> n--; line?w; line!w }	/* round it goes */
	:: n == 0 -> break
	od;
	w = 0
}

/* lineHead.witnesses: detached, to be settled. */
inline witnesses() {
	d_step {
		n = len(line);
		do
		:: n > 0 ->
			n--;
			line?w;
			if
			:: EXCLUSIVE(w) -> line!w
			:: else -> served!w
			fi
		:: else -> break
		od;
		w = 0
	}
}

/* settle: each is done, unless it has given up. The lines are locked. */
inline settle(v) {
#if WITNESSES > 0
	n = len(served);
	do
	:: n > 0 ->
		n--;
		d_step {
			served?w;
			served!w;
			given[w] = v;
			if
			:: fate[w] == waiting -> fate[w] = done
			:: else
			fi
		}
	:: else -> break
	od;
#endif
	w = 0
}

/* wakeList and wakeAll. No lock is held. */
inline wakeAll() {
	if
	:: d_step { taker != NONE -> permit[taker] = true; taker = NONE }
	:: else
	fi;
	do
	:: d_step { served?w; permit[w] = true; w = 0 }
	:: empty(served) -> break
	od
}

active [STORERS] proctype storer() {
	byte v, w, n, taker = NONE, i;
	bool ok, hint, busy;
	chan served = [WAITERS] of { byte };

	do
	:: i < STORES ->
		i++;
		v = _pid * STORES + i;
		grab();
		if
		:: ok -> put(v); busy = false; letGo(); goto stored
		:: else
		fi;
		if
		:: hint ->		/* handOver */
			atomic { !mu -> mu = true };
			hand(v);
			if
			:: taker != NONE -> witnesses(); settle(v); mu = false; wakeAll(); goto stored
			:: else -> mu = false
			fi;
#ifdef HAND_OVER_ALWAYS
			goto stored;
#endif
		:: else
		fi;
		acquire();
		if
		:: busy ->		/* publishLine */
			hand(v);
			if
#ifdef HAND_AND_PUT
			:: true -> put(v)
#else
			:: taker == NONE -> put(v)
			:: else
#endif
			fi;
			witnesses();
			letGo();
			settle(v);
			mu = false;
			wakeAll()
		:: else -> put(v); letGo()
		fi;
stored:
		atomic { finished[v] = true; v = 0; ok = false; hint = false; busy = false }
	:: else -> break
	od
}

/* LoadAndDelete: got is the value, or 0. */
inline loadAndDelete() {
	got = 0;
	grab();
	if
	:: ok -> busy = false
	:: else -> acquire()
	fi;
	atomic {
		if
		:: live -> got = cell; live = false; cell = 0
		:: else
		fi
	};
	letGo();
	if
	:: busy -> mu = false
	:: else
	fi;
	atomic { ok = false; hint = false; busy = false }
}

/* shard.lockLines: from here on all who write to the key lock the lines. */
inline lockLines(hintOfTakers) {
	atomic { !mu -> mu = true };
#ifdef LOOK_FIRST
	seen = live;
#endif
#ifndef NO_ANNOUNCE
	if
	:: d_step { lines && (takers || !hintOfTakers) -> skip }	/* locked or not */
#ifdef ANNOUNCE_LOCKED
	:: d_step { lines = true; takers = takers || hintOfTakers }
#else
	:: d_step { !locked -> lines = true; takers = takers || hintOfTakers }
#endif
	fi;
#endif
#ifndef LOOK_FIRST
	seen = live
#endif
}

inline leave() {
	atomic { !mu -> mu = true };
	d_step {
#ifndef STAY
		if
		:: line??[eval(me)] -> line??eval(me)
		:: !(line??[eval(me)])
		fi;
#endif
		mu = false
	}
}

/* enter, and Waiter.Await; a value is got, or the context has ended. */
inline await() {
	d_step { line!me; mu = false };
	if
	:: endless = true
	:: endless = false
	fi;
	do
	:: fate[me] == done -> got = given[me]; break
	:: fate[me] != done ->
		asleep[me] = endless;
end_park:	if
		:: d_step { permit[me] -> permit[me] = false; asleep[me] = false }
		:: !endless ->
			if
			:: d_step { fate[me] == waiting -> fate[me] = gone }; leave(); break
#ifdef FAIL_ANYWAY
			:: fate[me] == done -> break
#else
			:: fate[me] == done		/* the value came first */
#endif
			fi
		fi
	od
}

active [TAKERS] proctype taking() {
	byte got, me = _pid - STORERS;
	bool ok, hint, busy, seen, endless;
	chan served = [1] of { byte };		/* nobody */

	loadAndDelete();
	do
	:: got != 0 -> break
	:: else ->
		lockLines(true);
		if
#ifdef NO_LOOK
		:: true -> await(); break
#else
		:: !seen -> await(); break
		:: seen -> mu = false; loadAndDelete()
#endif
		fi
	od;
	atomic {
		left[got]++;
		assert(got == 0 || left[got] == 1);		/* 1 */
		assert(fate[me] != gone || got == 0);		/* 3 */
		asleep[me] = false; got = 0; seen = false; endless = false
	}
}

#if WITNESSES > 0
active [WITNESSES] proctype witness() {
	byte got, me = _pid - STORERS;
	bool seen, endless;

	if
	:: live -> goto out		/* Load */
	:: !live
	fi;
	lockLines(false);
	if
#ifdef NO_LOOK
	:: true -> await()
#else
	:: !seen -> await()
	:: seen -> mu = false
#endif
	fi;
out:
	atomic { asleep[me] = false; got = 0; seen = false; endless = false }
}
#endif

#if DELETERS > 0
active [DELETERS] proctype deleter() {
	byte got;
	bool ok, hint, busy;
	chan served = [1] of { byte };

	loadAndDelete();
	d_step { left[got]++; assert(got == 0 || left[got] == 1); got = 0 }	/* 1 */
}
#endif

/* Nobody can move: is all well? */
active proctype rest() {
	byte i;

	timeout;
	d_step {
		assert(!mu && !locked);					/* 4 */
		do
		:: i < VALUES ->
			i++;
			assert(finished[i]);				/* 4 */
			assert(left[i] + (live && cell == i) == 1)	/* 1 */
		:: else -> break
		od;
		i = 0;
		do
		:: i < WAITERS ->
			assert(!(line??[eval(i)]) || asleep[i]);	/* 3 */
			assert(!asleep[i] || fate[i] == waiting && line??[eval(i)]);	/* 2 */
			i++
		:: else -> break
		od;
		assert(empty(line) || !live)				/* 2 */
	}
}
