/*
 * One key of a Map: Store, Take, Wait and LoadAndDelete. waitmap/lock.go,
 * deliver.go, group.go, shard.go, line.go, write.go and wait.go; labels and inlines are
 * the steps of the code. README.md says what is left out; check.sh runs this as
 * it is, and broken in each way that an #ifdef shows.
 *
 *     Store:   lock the key's home, if it has no lines: put, unlock
 *              else deliver to one: under the lines' lock, if just one is in line: a
 *              taker is finished, the home untouched; for an observer the home is
 *              locked, if it is free, the value shown, the observer finished, the
 *              home unlocked, without lines if it has no other
 *              else: the lines' lock if the home has some, the home's, and
 *              look again whether it has; hand over or put; unlock both
 *     Take:    LoadAndDelete; else lock the lines, announce them in the home,
 *              look again, get in line, sleep
 *              ... its context ends: a goroutine leaves, unless it is done; who
 *              has a parker abandons, unless a value came, and then leaves
 *
 * What only the holder of a lock can see is changed in one step.
 *
 * Bounds: TAKERS, OBSERVERS in Wait and DELETERS, each once; STORERS that store
 * STORES values each; NEIGHBORS, who wait for another key with the same home.
 * Contexts end whenever they like, or never.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef TAKERS
#define TAKERS 2
#endif
#ifndef OBSERVERS
#define OBSERVERS 1
#endif
#ifndef DELETERS
#define DELETERS 0
#endif
#ifndef NEIGHBORS
#define NEIGHBORS 0
#endif
#ifndef STORERS
#define STORERS 1
#endif
#ifndef STORES
#define STORES 2
#endif

#define WAITERS	(TAKERS + OBSERVERS)
#define VALUES	(STORERS * STORES)
#define EXCLUSIVE(w)	(w < TAKERS)

mtype = { waiting, done, gone };

/* The home's meta word, and the cell. */
bool locked, live, lines;
byte cell;

bool mu;				/* the lines' */
chan line = [WAITERS] of { byte };	/* the key's */
byte others;				/* who are in the line of another key of this home */
mtype state[WAITERS] = waiting;
byte given[WAITERS];
bool permit[WAITERS];			/* of the waiter's parker */

/* What only the checks look at. */
byte left[VALUES + 1];			/* how often a value has left the map, or was never put there */
bool away[VALUES + 1];			/* it is not there any more, or never will be */
bool finished[VALUES + 1];		/* its Store has returned */
bool asleep[WAITERS];			/* with a context that goes on */
bool absent[WAITERS];			/* has left the line, or was never there */

/* The value, and the word that shows it. */
inline put(v) {
	d_step {
		if
		:: live -> left[cell]++; away[cell] = true	/* overwritten */
		:: else
		fi;
		cell = v;
		live = true
	}
}

/*
 * findInHome and fastLock.tryLock: ok tells that the home is locked, saw whether it
 * had lines. If the word is the one that findInHome saw, it is as if both were one step.
 */
inline tryLock() {
	if
#ifdef LOCK_LINES
	:: d_step { !locked -> locked = true; ok = true; saw = false }
#else
	:: d_step { !locked && !lines -> locked = true; ok = true; saw = false }
#endif
	:: d_step { saw = lines; ok = false }	/* it is another by now, or has lines */
	fi
}

/* shard.lock: linesLocked tells that the lines are locked too. */
inline lockKey() {
	linesLocked = false;
	do
	:: linesLocked = linesLocked || lines;
		if
		:: linesLocked -> atomic { !mu -> mu = true }
		:: else
		fi;
		atomic { !locked -> locked = true; ok = live };
		if
#ifdef NO_RECHECK
		:: true -> break
#else
		:: linesLocked || !lines -> break
#endif
		:: else -> atomic { locked = false; live = ok }	/* as it was; in the right order, then */
		fi
	od
}

/* keyLock.closeIdleLine and the home's unlock. */
inline unlock() {
	d_step {
		if
#ifdef CLEAR_BLINDLY
		:: linesLocked -> lines = false
#else
		:: linesLocked && len(line) == 0 && len(observers) == 0 && others == 0 -> lines = false
#endif
		:: else
		fi;
		locked = false
	}
}

/* lineHead.handOff: the first taker that has not given up, or NONE. */
#define NONE	255
inline handOff(v) {
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
			d_step { if :: state[w] == waiting -> state[w] = done :: else fi; taker = w; away[v] = true }
#else
			if
			:: d_step { state[w] == waiting -> state[w] = done; taker = w; away[v] = true }
			:: state[w] != waiting		/* has given up: the next one's */
			fi
#endif
		:: else
		fi
	:: d_step { n > 0 && taker != NONE -> n--; line?w; line!w }	/* round it goes */
	:: n == 0 -> break
	od;
	w = 0
}

/* lineHead.detachObservers: detached, to be delivered to. */
inline detachObservers() {
	d_step {
		n = len(line);
		do
		:: n > 0 ->
			n--;
			line?w;
			if
			:: EXCLUSIVE(w) -> line!w
			:: else -> observers!w
			fi
		:: else -> break
		od;
		w = 0
	}
}

/* deliver: each is done, unless it has given up. The lines are locked. */
inline deliver(v) {
#if OBSERVERS > 0
	n = len(observers);
	do
	:: n > 0 ->
		n--;
		d_step {
			observers?w;
			observers!w;
			given[w] = v;
			if
			:: state[w] == waiting -> state[w] = done
			:: else
			fi
		}
	:: else -> break
	od;
#endif
	w = 0
}

/* line.single, and who that is. */
inline single() {
	d_step {
		taker = NONE;
		if
		:: len(line) == 1 -> line?<taker>
		:: else
		fi
	}
}

/* lines.detachAndClose. */
#define DETACH_AND_CLOSE	line?taker
#define FINISH	d_step { given[taker] = v; if :: state[taker] == waiting -> state[taker] = done :: else fi }

/*
 * engine.publishToOne: ok tells that it was done. The home may be full.
 */
inline publishToOne(v) {
	if
#ifdef PUBLISH_UNLOCKED
	:: ok = true
#else
	:: d_step { !locked -> locked = true; ok = true }
#endif
	:: ok = false				/* locked, or full */
	fi;
	if
	:: ok ->
#ifdef FINISH_FIRST
		FINISH;
		put(v);
#elif defined(CLEAR_FIRST)
		d_step { put(v); lines = others != 0; locked = false };
		FINISH;
#else
		put(v);
		FINISH;
#endif
		d_step {
			DETACH_AND_CLOSE;
#ifdef CLEAR_OTHERS
			lines = false;
#elif !defined(CLEAR_FIRST)
			lines = others != 0;
#endif
#if !defined(PUBLISH_UNLOCKED) && !defined(CLEAR_FIRST)
			locked = false
#endif
		}
	:: else
	fi
}

/* engine.deliverToOne: ok tells that the value was stored, taker who is to be woken. */
inline deliverToOne(v) {
	atomic { !mu -> mu = true };
	single();
	if
	:: taker == NONE -> ok = false
	:: taker != NONE && EXCLUSIVE(taker) ->
		given[taker] = v;
		if
		:: d_step { state[taker] == waiting -> state[taker] = done; DETACH_AND_CLOSE; away[v] = true; ok = true }
#ifdef DELIVER_BLINDLY
		:: d_step { state[taker] != waiting -> DETACH_AND_CLOSE; away[v] = true; ok = true }
#else
		:: state[taker] != waiting -> ok = false		/* is about to leave */
#endif
		fi
	:: taker != NONE && !EXCLUSIVE(taker) -> publishToOne(v)
	fi;
	d_step {
		if
		:: !ok || state[taker] != done -> taker = NONE
		:: else
		fi;
		mu = false
	}
}

/* wakeList and wakeWaiter. No lock is held. */
inline wakeAll() {
	if
	:: d_step { taker != NONE -> permit[taker] = true; taker = NONE }
	:: else
	fi;
	do
	:: d_step { observers?w; permit[w] = true; w = 0 }
	:: empty(observers) -> break
	od
}

/* early has those whom this store, or one before it, must deliver to: all observers, and the first taker. */
inline whoIsInLine() {
	d_step {
		n = len(line);
		ok = false;
		do
		:: n > 0 ->
			n--;
			line?w;
			line!w;
			if
			:: !EXCLUSIVE(w) || !ok -> early = early | 1 << w; ok = ok || EXCLUSIVE(w)
			:: else
			fi
		:: else -> break
		od;
		w = 0; ok = false
	}
}

active [STORERS] proctype storer() {
	byte v, w, n, taker = NONE, i, early;
	bool ok, saw, linesLocked;
	chan observers = [WAITERS] of { byte };

	do
	:: i < STORES ->
		i++;
		v = _pid * STORES + i;
		whoIsInLine();
		tryLock();
		if
		:: ok -> put(v); linesLocked = false; unlock(); goto stored
		:: else
		fi;
		if
		:: saw ->
			deliverToOne(v);
			if
			:: ok -> wakeAll(); goto stored
			:: else
#ifdef DELIVER_ALWAYS
				-> goto stored
#endif
			fi
		:: else
		fi;
		lockKey();
		if
		:: linesLocked ->		/* publishToLine */
			handOff(v);
			if
#ifdef HAND_AND_PUT
			:: true -> put(v)
#else
			:: taker == NONE -> put(v)
			:: else
#endif
			fi;
			detachObservers();
#ifdef DELIVER_UNLOCKED
			unlock();
			mu = false;
			deliver(v);
#else
			unlock();
			deliver(v);
			mu = false;
#endif
			wakeAll()
		:: else -> put(v); unlock()
		fi;
stored:
		atomic {
			finished[v] = true;
			w = 0;
			do
			:: w < WAITERS ->
				assert(!(early & 1 << w) || state[w] != waiting || absent[w]);	/* 5 */
				w++
			:: else -> break
			od;
			v = 0; w = 0; early = 0; ok = false; saw = false; linesLocked = false
		}
	:: else -> break
	od
}

/* LoadAndDelete: got is the value, or 0: the word says at once that there is none. */
inline loadAndDelete() {
	got = 0;
	if
	:: !live
	:: live ->
		tryLock();
		if
		:: ok -> linesLocked = false
		:: else -> lockKey()
		fi;
		atomic {
			if
			:: live -> got = cell; live = false; away[cell] = true; cell = 0
			:: else
			fi
		};
		unlock();
		if
		:: linesLocked -> mu = false
		:: else
		fi;
		d_step { ok = false; saw = false; linesLocked = false }
	fi
}

/* shard.lockLines: from here on all who write to the key lock the lines. */
inline lockLines() {
	atomic { !mu -> mu = true };
#ifdef LOOK_FIRST
	seen = live;
#endif
#ifndef NO_ANNOUNCE
	if
	:: lines			/* locked or not */
#ifdef ANNOUNCE_LOCKED
	:: lines = true
#else
	:: d_step { !locked -> lines = true }
#endif
	fi;
#endif
#ifndef LOOK_FIRST
	seen = live
#endif
}

/* lines.leave: who is done has left already. */
inline leave() {
	atomic { !mu -> mu = true };
	d_step {
#ifndef STAY
		if
		:: line??[eval(me)] -> line??eval(me); absent[me] = true
#ifdef LEAVE_ANYWAY
		:: else -> absent[me] = true
#else
		:: else -> absent[me] = state[me] != done
#endif
		fi;
#else
		absent[me] = state[me] != done;
#endif
		mu = false
	}
}

/*
 * enterAndSleep; a value is got, or the context has ended. Own says that the
 * context carries a parker, which is Waiter.Await's, and may wake for nothing.
 */
inline await() {
	d_step { line!me; mu = false; absent[me] = false };
	if
	:: endless = true
	:: endless = false; own = true
	:: endless = false; own = false
	fi;
	do
	:: own && state[me] == done -> got = given[me]; break
	:: state[me] != done || !own ->
		asleep[me] = endless;
end_park:	if
		:: d_step { permit[me] -> permit[me] = false; asleep[me] = false };
			assert(state[me] == done); got = given[me]; break
		:: !endless && !own ->
			leave();
			if
			:: absent[me]
			:: else -> got = given[me]	/* it has its value */
			fi;
			break
		:: !endless && own ->
			if
			:: d_step { state[me] == waiting -> state[me] = gone }; leave(); break
#ifdef FAIL_ANYWAY
			:: state[me] == done -> absent[me] = true; break
#else
			:: state[me] == done		/* the value came first */
#endif
			fi
		fi
	od
}

active [TAKERS] proctype taking() {
	byte got, me = _pid - STORERS;
	bool ok, saw, linesLocked, seen, endless, own;
	chan observers = [1] of { byte };		/* nobody */

	loadAndDelete();
	do
	:: got != 0 -> break
	:: else ->
		lockLines();
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
		assert(state[me] != gone && !absent[me] || got == 0);	/* 3 */
		assert(!absent[me] || state[me] != done);	/* 3 */
		asleep[me] = false; got = 0; seen = false; endless = false; own = false
	}
}

#if OBSERVERS > 0
active [OBSERVERS] proctype observer() {
	byte got, me = _pid - STORERS;
	bool seen, endless, own;

	if
	:: live -> goto out		/* Load */
	:: !live
	fi;
	lockLines();
	if
#ifdef NO_LOOK
	:: true -> await()
#else
	:: !seen -> await()
	:: seen -> mu = false
#endif
	fi;
out:
	atomic {
		assert(got == 0 || away[got] || live && cell == got);	/* 6 */
		asleep[me] = false; got = 0; seen = false; endless = false; own = false
	}
}
#endif

#if DELETERS > 0
active [DELETERS] proctype deleter() {
	byte got;
	bool ok, saw, linesLocked;
	chan observers = [1] of { byte };

	loadAndDelete();
	d_step { left[got]++; assert(got == 0 || left[got] == 1); got = 0 }	/* 1 */
}
#endif

#if NEIGHBORS > 0
/* Waits for another key. */
active [NEIGHBORS] proctype neighbor() {
	bool seen;

	lockLines();
	d_step { others++; mu = false };
	if
	:: true -> atomic { !mu -> mu = true }; d_step { others--; mu = false }
	:: true
	fi;
	seen = false
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
			assert(!asleep[i] || state[i] == waiting && line??[eval(i)]);	/* 2 */
			i++
		:: else -> break
		od;
		assert(empty(line) || !live);				/* 2 */
		assert(lines || empty(line) && others == 0)		/* 7 */
	}
}
