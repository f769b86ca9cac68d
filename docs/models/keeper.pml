/*
 * The driver for goroutines: goroutine_linux.go and keeper_linux.go, with what they
 * use of ringqueue_linux.go. What is done under the lock is one step, and what the
 * kernel may do meanwhile is in it where that matters (worker_may). README.md
 * says what is left out; check.sh runs this as it is, and broken in each way
 * that an #ifdef shows.
 *
 *     launch ---> line ---> sq ---> kernel ---> cq ---> completed
 *           ring |   ^ keeper submits     |      ^ whoever comes by takes
 *                v   |                    |      |
 *               keeper                    +--> reaper
 *                                     edge, or deadline
 *
 *     work == NONE   start_keeper    work == k                leave    work == NONE
 *     nobody there -------> keeper k and reaper there -------> keeper k is on
 *                                                              its way out
 *
 * A keeper is a thread and its channel: token is what lies in the channel.
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef LIVES
#define LIVES 2		/* operations of each launcher, at most */
#endif
#ifndef QUIRKS
#define QUIRKS 1	/* how often something happens that need not */
#endif
#ifndef ROOM
#define ROOM 2		/* entries of the submission queue */
#endif
#ifndef COMPLETIONS
#define COMPLETIONS 1	/* entries of the completion queue */
#endif

#define KEEPERS	2	/* at a time: one is there, one is on its way out */
#define NONE	KEEPERS	/* of them */

mtype = { idle, prepared, submitted, completed };
mtype = { op, cancel, again, missed, undone };	/* entries and completions */

/* Each with the operation's place, and its life, which is its name. */
chan line = [2] of { byte };			/* of places */
chan cancels = [4] of { mtype, byte, byte };
chan sq = [ROOM] of { mtype, byte, byte };
chan cq = [COMPLETIONS] of { mtype, byte, byte };
chan overflow = [6] of { mtype, byte, byte };	/* not in the queue: no room */
chan timers = [2] of { byte, byte };

/* Operations, each in its launcher's place. */
mtype state[2] = idle;
byte life[2];
bool waits[2];			/* or it is done at once */
bool canceling[2];
byte inFlight;

/* The kernel's. */
bool held[2], quiet[2];		/* it has it; until it is canceled */
byte by[2] = NONE;		/* whose thread has to finish it */
bool deciding;			/* the queue was full a moment ago */
byte late;			/* whose completion was to go there */
byte quirks = QUIRKS;

/* The driver's. */
byte work = NONE;
bool there[KEEPERS], token[KEEPERS], closed[KEEPERS];
bool noticed;			/* the kernel writes to the eventfd */
bool edge;			/* what the reaper wakes for */
bool reaping;			/* the reaper is there */
bool asleep, due;		/* it sleeps; its own deadline has passed */
bool reaped;			/* something has been, since it looked at the count */

bool patient;			/* it was late for an overflow once, and nothing came of that yet */

#define some(q) (len(q) > 0)	/* spin lets these stand beside an else */
#define none(q) (len(q) == 0)
#define room(q, size) (len(q) < size)
#define found(x, n) ((state[x] == prepared || state[x] == submitted) && life[x] == n)
#define unsubmitted (some(sq) || some(line) || some(cancels))
#define overflown some(overflow)

/* The kernel posts a completion, or keeps it if there is no room. */
inline post(what, x, n) {
	if
	:: none(overflow) && room(cq, COMPLETIONS) -> cq!what, x, n; edge = edge || noticed
	:: else -> assert(room(overflow, 6)); overflow!what, x, n
	fi
}

inline flush() {
	patient = false;
	do
	:: some(overflow) && room(cq, COMPLETIONS) ->
		overflow?kind, x, n;
		cq!kind, x, n;
		edge = edge || noticed
	:: else -> break
	od
}

/* What the kernel does with an entry that a keeper submits. */
inline accept(thread) {
	if
	:: kind == op && waits[x] ->
		assert(there[thread]);
		held[x] = true;
		by[x] = thread;
		if
		:: x == 0 -> quiet[x] = true
		:: quiet[x] = false
		fi;
		kind = 0
	:: kind == op && !waits[x]
	:: kind == cancel && held[x] && life[x] == n && quirks > 0 ->
		quirks--;
		kind = missed
	:: kind == cancel && held[x] && life[x] == n ->
		held[x] = false; quiet[x] = false; by[x] = NONE;
		post(op, x, n)
	:: kind == cancel && !(held[x] && life[x] == n) -> kind = missed
	:: kind == again -> timers!x, n; kind = 0
	fi;
	if
	:: kind != 0 -> post(kind, x, n)
	:: else
	fi
}

inline enter(thread) {
	flushing = overflown;
	refused = false;
	if
	:: some(sq) && quirks > 0 -> quirks--; refused = true		/* no memory */
	:: do
		:: some(sq) -> sq?kind, x, n; accept(thread)
		:: none(sq) -> break
		od;
		if
		:: flushing -> flush()
		:: else
		fi
	fi
}

/* The same on a goroutine's thread. A message may be left to a worker. */
inline enter_self(p) {
	if
	:: some(sq) && quirks > 0 -> quirks--
	:: do
		:: some(sq) ->
			sq?kind, x, n;
			assert(x == p && !waits[x]);		/* 4 */
			if
			:: post(op, x, n)
			:: quirks > 0 -> quirks--; held[x] = true
			fi
		:: none(sq) -> break
		od
	fi
}

/* Gives entries to those in line while there are any. */
inline drain() {
	do
	:: some(cancels) && room(sq, ROOM) ->
		cancels?kind, x, n;
		if
		:: found(x, n) -> sq!kind, x, n
		:: else
		fi
	:: none(cancels) && some(line) && room(sq, ROOM) ->
		line?x;
		state[x] = submitted;
		sq!op, x, life[x]
	:: else -> break
	od
}

/* What a keeper does with the lock. */
inline submit(thread) {
	refused = false;
	do
	:: !refused && (unsubmitted || overflown) ->
		drain();
		enter(thread);
		if
		:: overflown -> break	/* until some are taken */
		:: else
		fi
	:: else -> break
	od;
	refused = false
}

/* One completion. What the kernel posts in an enter the keeper takes after it. */
inline take() {
	cq?kind, x, n;
	assert(kind != missed);
	took()
}

inline took() {
	reaped = true;
	if
	:: found(x, n) && kind == op -> complete_op(x)
	:: found(x, n) && kind == undone && canceling[x] -> complete_op(x)
	:: found(x, n) && kind == undone && !canceling[x] -> state[x] = prepared; line!x
	:: found(x, n) && kind == again -> cancels!cancel, x, n
	:: else
	fi
}

/* The keeper's. */
inline take_after_enter() {
	cq?kind, x, n;
	if
	:: found(x, n) && kind == missed -> reaped = true; cancels!again, x, n
	:: else -> took()
	fi
}

inline complete_op(p) {
	assert(!held[p]);
	state[p] = completed;
	inFlight--
}

inline reap() {
	do
	:: some(cq) -> take()
	:: none(cq) -> break
	od
}

/* A worker's completion between the look and the notices. */
inline worker_may() {
	if
	:: held[1] && by[1] == NONE && !deciding ->
		held[1] = false;
		post(op, 1, life[1])
	:: true
	fi
}

inline notices_off() {
	if
#ifndef NOTICES_STAY
	:: inFlight == 0 -> noticed = false
#endif
	:: else
	fi
}

inline collect() {
	do
	:: some(cq) -> take()
	:: none(cq) ->
		if
		:: inFlight > 0 && !noticed ->
			worker_may();
			noticed = true;
#ifdef NO_RECHECK
			break
#endif
		:: else -> break
		fi
	od;
	notices_off()
}

/* A keeper that is on its way out is another one. */
inline start_keeper() {
	if
	:: inFlight > 0 && work == NONE ->
		work = (there[0] -> 1 : 0);
		assert(!there[work]);
		there[work] = true;
		reaping = true
	:: else
	fi
}

/* A send on what is closed panics; on nil it does nothing. */
inline wake_keeper(k) {
	if
	:: k != NONE -> assert(there[k] && !closed[k]); token[k] = true
	:: else
	fi
}

/* Wakes the keeper, if there is something to submit. */
inline rouse() {
	to = NONE;
	if
#ifdef NO_FLUSH
	:: unsubmitted -> to = work
#else
	:: unsubmitted || overflown -> to = work
#endif
	:: else
	fi;
#ifndef WAKE_UNLOCKED
	wake_keeper(to);
	to = NONE;
#endif
	kind = 0; x = 0; n = 0
}

#ifdef WAKE_UNLOCKED
#define UNLOCKED d_step { wake_keeper(to); to = NONE }
#else
#define UNLOCKED
#endif

/* launch, up to the step that follows. */
inline launch(p) {
	life[p]++;
	inFlight++;
	if
#ifdef NOP_ANYWAY
	:: !waits[p] && room(sq, ROOM) ->
#else
	:: !waits[p] && none(sq) ->
#endif
		if
		:: none(line) -> state[p] = submitted; sq!op, p, life[p]
		:: some(line) -> state[p] = prepared; line!p
		fi;
		enter_self(p)
	:: else -> state[p] = prepared; line!p
	fi
}

inline abort(p) {
	if
	:: state[p] == prepared -> line??eval(p); canceling[p] = true; complete_op(p)
	:: state[p] == submitted -> canceling[p] = true; cancels!cancel, p, life[p]
	:: else
	fi
}

/* The first waits and its context may end; the second waits, or does not. Each
 * stops when it likes. */
active [2] proctype launcher() {
	mtype kind;
	byte x, n, to = NONE;

end:	do
	:: atomic { !deciding && state[_pid] == idle && life[_pid] < LIVES ->
#ifdef WAKE_FIRST
		inFlight++; start_keeper(); wake_keeper(work); inFlight-- };
		atomic {
#endif
		if
		:: waits[_pid] = true
		:: _pid == 1 -> waits[_pid] = false
		fi;
		launch(_pid);
#ifdef WAKE_FIRST
		collect(); start_keeper(); kind = 0; x = 0; n = 0 }
#else
		goto step }
#endif
	:: atomic { _pid == 0 && !canceling[0] && (state[0] == prepared || state[0] == submitted) ->
		abort(0);
step:
		collect();
		start_keeper();
		rouse() };
		UNLOCKED
	:: d_step { state[_pid] == completed ->		/* it returns */
		assert(!held[_pid]);
		state[_pid] = idle;
		canceling[_pid] = false;
		waits[_pid] = false }
	:: state[_pid] == idle -> break
	od
}

active [KEEPERS] proctype keeper() {
	mtype kind;
	byte x, n, to = NONE, me = _pid - 2;
	bool refused, flushing;

end:	do
	:: there[me] && token[me] -> token[me] = false;		/* range work */
		atomic { !deciding;
#ifndef STALE_KEEPER
			if
			:: work != me -> goto next
			:: else
			fi;
#endif
			submit(me);
			do
			:: some(cq) -> take_after_enter()
			:: none(cq) -> break
			od;
			assert(inFlight == 0 || noticed);
			notices_off();
#ifndef NO_RETRY
			rouse();		/* itself, for what is left */
#endif
			kind = 0; x = 0; n = 0; flushing = false };
		UNLOCKED;
next:		skip
	:: d_step { there[me] && !token[me] && closed[me] ->
		assert(!(held[0] && by[0] == me));		/* 1 */
		assert(!(held[1] && by[1] == me));
		closed[me] = false;
		there[me] = false }
	od
}

/* leave, when nothing was reaped. The room for another keeper is the model's. */
inline leave() {
	if
#ifdef LEAVE_IN_FLIGHT
	:: !there[1 - work] ->
#else
	:: inFlight > 0
	:: inFlight == 0 && !there[1 - work] ->
#endif
		assert(noticed == (inFlight > 0));		/* 3 */
		do
		:: cancels?kind, x, n
		:: none(cancels) -> break
		od;
		kind = 0; x = 0; n = 0;
#ifndef KEEPER_STAYS
		assert(!closed[work]);
		closed[work] = true;
#endif
#ifndef CLOSE_TWICE
		work = NONE;
#endif
		reaping = false;
		edge = false
	fi
}

active proctype reaper() {
	mtype kind;
	byte x, n, to = NONE;
#ifdef QUEUE_SILENT
	bool queued;
#endif

end:	do
	:: reaping ->
		reaped = false;			/* its deadline is yet to pass */
#ifndef RESET_LATE
		edge = false;
#endif
look:		atomic {
#ifdef QUEUE_SILENT
			queued = unsubmitted;
#endif
			reap();
			assert(inFlight == 0 || noticed);
			notices_off();
#ifdef QUEUE_SILENT
			if
			:: queued || overflown -> rouse()
			:: else
			fi;
#else
			rouse();
#endif
#if !defined(RESET_LATE) && !defined(WAKE_UNLOCKED)
			asleep = true };
#else
		};
		UNLOCKED;
#ifdef RESET_LATE
		edge = false;
#endif
		asleep = true;
#endif
end1:		if
		:: d_step { edge -> edge = false; asleep = false }; goto look
		:: d_step { due -> due = false; asleep = false }
		:: d_step { inFlight == 0 || quirks > 0 ->	/* its own */
			quirks = (inFlight == 0 -> quirks : quirks - 1);
			asleep = false }
		fi;
		atomic {
			if
			:: reaped
			:: else -> leave()
			fi }
	od
}

/* Completions come whenever they like, or only when they are asked for. */
active proctype kernel() {
	byte x, n;

end:	do
	:: atomic { !deciding && held[0] && !quiet[0] -> x = 0; goto complete }
	:: atomic { !deciding && held[1] && !quiet[1] -> x = 1;
complete:
		held[x] = false; by[x] = NONE;
		if
		:: !room(cq, COMPLETIONS) && none(overflow) && quirks > 0 -> quirks--; deciding = true; late = x
		:: post(op, x, life[x])
		fi;
		x = 0 }
	:: d_step { deciding -> deciding = false; overflow!op, late, life[late]; late = 0 }
	:: d_step { !deciding && held[0] && quirks > 0 ->	/* undone */
		quirks--;
		held[0] = false; quiet[0] = false; by[0] = NONE;
		post(undone, 0, life[0]) }
	:: d_step { !deciding && some(timers) ->
		timers?x, n;
		post(again, x, n);
		x = 0; n = 0 }
	od
}

inline at_rest() {
	d_step {
		assert(none(cq) || inFlight == 0);		/* 2 */
		assert(!unsubmitted || inFlight == 0);
		assert(none(overflow) || inFlight == 0);	/* 5 */
		assert(state[0] == idle || state[0] == submitted && held[0] && !canceling[0]);
		assert(state[1] == idle || state[1] == submitted && held[1]);
		assert(inFlight > 0 || !reaping && !noticed && !there[0] && !there[1] && work == NONE)	/* 3 */
	}
}

/* Nobody can move: is all well? */
active proctype rest() {
	do
	:: timeout ->
		if
		:: d_step { asleep && overflown && !patient -> patient = true; due = true }	/* 5 */
		:: else -> at_rest(); break
		fi
	od
}
