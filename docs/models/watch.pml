/*
 * WaitFor: a wait that leaves the line between two looks. waitmap/watch.go and
 * WaitFor in wait.go; labels and inlines are the steps of the code. What is
 * take.pml's matter, the home's lock and how a writer learns of a line, is one
 * step here. README.md says what is left out; check.sh runs this as it is, and
 * broken in each way that an #ifdef shows.
 *
 *     WaitFor: watch: lock the lines, announce, watch, look at what is there
 *              (ok, with nothing held; then under the lock: look at what was
 *              recorded since, or get in line; sleep) until ok or an error
 *              ... its context ends: abandon. stop, wherever it is
 *     Store:   no line: put. Else lock, hand over or put, record, detach, deliver,
 *              unlock, wake
 *     Cancel:  lock, record, detach, deliver, unlock, wake
 *
 * What only the holder of the lock can see is changed in one step.
 *
 * Bounds: WATCHERS, each once, that wait for GOOD; one who stores up to VALUES
 * values, each with or without a Delete after it; TAKERS in Take; CANCELERS, none
 * or one who cancels once.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef WATCHERS
#define WATCHERS 1
#endif
#ifndef TAKERS
#define TAKERS 1
#endif
#ifndef CANCELERS
#define CANCELERS 1
#endif
#ifndef VALUES
#define VALUES 3
#endif

#define GOOD	2

mtype = { waiting, done, gone };

bool mu;			/* the lines' */
bool lines;			/* the home tells of a line */
byte cell;			/* 0: absent */
bool takers[TAKERS + 1];	/* who is in line in Take */
byte takes;			/* how many of them */
bool inLine[WATCHERS];		/* who is in line to watch */
mtype state[WATCHERS];
bool permit[WATCHERS];

/* The watch. */
byte watchers, events, v, lastStore, lastCancel;

/* What only the checks look at. */
byte last[WATCHERS];		/* stored last, since it came */
bool told[WATCHERS];		/* canceled since it came */
bool came[WATCHERS];
bool asleep[WATCHERS];		/* with a context that goes on */

inline lock() { atomic { !mu -> mu = true } }

/* lineHead.record, and the detached line is done. */
inline recordStore(x) {
#ifndef NO_RECORD
	if
	:: watchers > 0 -> events++; lastStore = events; v = x
	:: else
	fi
#else
	skip
#endif
}

inline deliver() {
	i = 0;
	do
	:: i < WATCHERS ->
		if
		:: inLine[i] ->
			inLine[i] = false;
			if
			:: state[i] == waiting -> state[i] = done
			:: else
			fi;
			list[i] = true
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* lines.dropIfIdle and keyLock.closeIdleLine. */
inline dropIfIdle() {
	if
#ifdef DROP_WATCHED
	:: takes == 0 && !(inLine[0] || inLine[WATCHERS - 1]) -> lines = false
#else
	:: takes == 0 && watchers == 0 -> lines = false
#endif
	:: else
	fi
}

inline wakeList() {
	do
	:: i < WATCHERS ->
		d_step {
			if
			:: list[i] -> list[i] = false; permit[i] = true
			:: else
			fi;
			i++
		}
	:: else -> break
	od;
	i = 0
}

inline seeAll(x) {
	i = 0;
	do
	:: i < WATCHERS ->
		if
		:: came[i] -> last[i] = x
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

active [WATCHERS] proctype waitFor() {
	byte c, seen;
	bool err, endless;
#define me	_pid

	c = cell;			/* Load */
	if
	:: c == GOOD -> goto out
	:: else
	fi;
#ifdef LATE_WATCH
	c = cell;
#endif
watch:
	lock();
	d_step {
		lines = true;
		watchers++;
		came[me] = true;
#ifndef LATE_WATCH
		c = cell;
#endif
		seen = events;
		mu = false
	};
	if
	:: endless = true
	:: endless = false
	fi;
ok:
	if
	:: c == GOOD -> goto stop
	:: else
	fi;
	if
	:: err -> goto stop
	:: else
	fi;
poll_or_enter:
	lock();
#ifdef NO_LOOK
	d_step { inLine[me] = true; state[me] = waiting; mu = false };
	goto sleep;
#else
	if
	:: events != seen ->
		d_step {
			if
			:: lastStore > seen -> c = v
			:: else -> c = 0
			fi;
			err = lastCancel > seen;
#ifdef CANCEL_FIRST
			c = (err -> 0 : c);
#endif
			assert(!err || told[me]);				/* 3 */
			assert(!err || c == GOOD || last[me] != GOOD);		/* 4 */
#ifndef SEEN_LATE
			seen = events;
#endif
			mu = false
		};
#ifdef SEEN_LATE
		seen = events;
#endif
		goto ok
	:: else
	fi;
#ifdef LOOK_FIRST
	mu = false;
	lock();
#endif
	d_step { inLine[me] = true; state[me] = waiting; mu = false };
#endif
sleep:
	asleep[me] = endless;
end_park:
	if
	:: d_step { permit[me] -> permit[me] = false; asleep[me] = false }
	:: !endless && state[me] == waiting ->
		if
		:: d_step { state[me] == waiting -> state[me] = gone }; goto stop
		:: state[me] != waiting
		fi
	fi;
	if
	:: state[me] == waiting -> goto sleep	/* an old permit */
	:: else
	fi;
#ifdef NO_LOOK
	c = v;
	err = told[me];
	goto ok;
#else
	goto poll_or_enter;
#endif
stop:
	lock();
	d_step {
		inLine[me] = false;
		watchers--;
#ifdef FORGET_EARLY
		events = 0; lastStore = 0; lastCancel = 0; v = 0;
#else
		if
		:: watchers == 0 -> events = 0; lastStore = 0; lastCancel = 0; v = 0
		:: else
		fi;
#endif
		dropIfIdle();
		mu = false
	};
out:
	atomic { c = 0; seen = 0; err = false; came[me] = false; asleep[me] = false; told[me] = false; last[me] = 0 }
#undef me
}

active proctype storer() {
	byte x, i;
	bool list[WATCHERS];

	do
	:: x < VALUES ->
		x++;
		if
		:: d_step { !lines -> cell = x; seeAll(x) }
		:: lines ->
			lock();
			d_step {
				seeAll(x);
				if
				:: takes > 0 -> takes--;
#ifdef NO_RECORD_TAKEN
					skip
#else
					recordStore(x)
#endif
				:: else -> cell = x; recordStore(x)
				fi;
				deliver();
				dropIfIdle();
				mu = false
			};
			wakeList()
		fi;
		if
		:: cell = 0		/* Delete */
		:: skip
		fi
	:: break
	od;
	x = 0
}

/* They get in line if the key is absent, and are gone once they have a value. */
#if TAKERS > 0
active [TAKERS] proctype taking() {
	lock();
	d_step {
		if
		:: cell == 0 -> takes++; lines = true
		:: else -> cell = 0
		fi;
		mu = false
	}
}
#endif

#if CANCELERS > 0
active proctype canceler() {
	byte i;
	bool list[WATCHERS];

	lock();
	d_step {
		i = 0;
		do
		:: i < WATCHERS -> told[i] = came[i]; i++
		:: else -> break
		od;
#ifndef NO_RECORD_CANCEL
		if
		:: watchers > 0 -> events++; lastCancel = events
		:: else
		fi;
#endif
		takes = 0;
		deliver();
		dropIfIdle();
		mu = false
	};
	wakeList()
}
#endif

/* Nobody can move: is all well? */
active proctype rest() {
	byte i;

	timeout;
	d_step {
		assert(!mu);						/* 5 */
		do
		:: i < WATCHERS ->
			assert(!asleep[i] || last[i] != GOOD && cell != GOOD);	/* 1 */
			assert(!asleep[i] || !told[i]);			/* 2 */
			i++
		:: else -> break
		od;
		assert(watchers == asleep[0] + asleep[WATCHERS - 1] * (WATCHERS > 1));	/* 5 */
		assert(watchers > 0 || events == 0 && (takes > 0 || !lines))	/* 5 */
	}
}
