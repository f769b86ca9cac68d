/*
 * Select: one waiter in each of several lines, and a claim that they share.
 * internal/choice and internal/waitq/select.go, and what the lines' owners must do;
 * labels and inlines are the steps of the code. README.md says what is left out;
 * check.sh runs this as it is, and broken in each way that an #ifdef shows.
 *
 *     Select:   try each; then for each: lock, look again, claim and take or get in
 *               line, unlock; park until the claim is not open
 *               ... Park fails: withdraw, unless a case has happened
 *               leave the lines of the other cases: lock, remove, serve who stood
 *               behind, unlock, wake
 *               take the result; reuse the selection if no notifier uses it
 *     Store:    lock; claim the first in line that can be claimed, finish it, take it
 *               out, unlock, wake; or put, unlock
 *     Release:  lock; the same for each in line that is served; unlock, wake all
 *     Detach:   lock, take the whole line, unlock; claim, finish and wake each, as
 *               NotifyWaiters does
 *
 * There are two things, A and B. Both keep one value, or A has permits: then the
 * first Select asks for 2 of them, and all others for 1. A plain taker has a waiter
 * and a claim of its own, which stands for its waiter's word. An arm and its waiter
 * are one here, and so are the selection and its arms: they are reused together.
 *
 * What only the holder of a lock can see is changed in one step, and so is a
 * critical section with one look at a claim.
 *
 * Bounds: SELECTS, the second in the opposite order, which select ROUNDS times each;
 * TAKERS in line for A; for each thing one who stores STORES values, or releases one
 * permit RELEASES times; TRIERS, who take something if it is there; DETACHERS.
 * Contexts of Selects end whenever they like, or never.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef SELECTS
#define SELECTS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef TAKERS
#define TAKERS 1
#endif
#ifndef STORES
#define STORES 1
#endif
#ifndef RELEASES
#define RELEASES 2
#endif
#ifndef TRIERS
#define TRIERS 1
#endif
#ifndef DETACHERS
#define DETACHERS 0
#endif

#define A	0
#define B	1
#define NIL	255
#define CANCELED	255	/* what a detached waiter is given */

/* Selections; the takers' claims follow them. */
#define SELECTIONS	(SELECTS * ROUNDS)
#define CLAIMS	(SELECTIONS + TAKERS)
#define WAITERS	(2 * CLAIMS)
#define SLEEPERS	(SELECTS + TAKERS)
#define VALUES	(2 * STORES)
#ifdef PERMITS
#define STORERS	1			/* for B */
#else
#define STORERS	2
#endif

#define WAITER(s, t)	(2 * (s) + (t))
#define CLAIM(w)	((w) / 2)
#define SLEEPER(w)	(CLAIM(w) < SELECTIONS -> CLAIM(w) / ROUNDS : CLAIM(w) - SELECTIONS + SELECTS)
#define BIT(w)	(1 << (w))

/* The claim: open, the thing that was chosen and 1, or none. */
#define OPEN	0
#define NONE	3

bool locked[2];
byte cell[2];				/* 0: absent */
chan line[2] = [SLEEPERS] of { byte };
byte claim[CLAIMS];
bool called[WAITERS];
byte given[WAITERS];
bool permit[SLEEPERS];			/* of the parker */

#ifdef PERMITS
byte free;				/* of A's permits */
#define ASKS(w)	(CLAIM(w) < ROUNDS -> 2 : 1)
#define CAN(t, w)	(t == A && free >= ASKS(w) || t == B && cell[B] != 0)
#define FIRST(t)	(t == B || len(line[A]) == 0)
#else
#define ASKS(w)	1
#define CAN(t, w)	(cell[t] != 0)
#define FIRST(t)	true
#endif

/* What only the checks look at. */
byte left[VALUES + 1];			/* how often a value was received or overwritten */
bool sent[VALUES + 1];
byte happened[CLAIMS];			/* how many cases have, since the claim is open */
bool asleep[SLEEPERS];			/* with a context that goes on */
short held;				/* waiters that a notifier uses with no lock held, or has claimed */
short stale;				/* those of them that were reused */
#ifdef PERMITS
byte released, acquired;
#endif

/* The case of w happens. */
inline happens(w) {
	happened[CLAIM(w)]++;
	assert(happened[CLAIM(w)] == 1);	/* 1 */
	assert(!(stale & BIT(w)));		/* 6 */
	held = held | BIT(w)
}

/* What is there goes to w, whose claim has won. */
inline take(t, w) {
#ifdef PERMITS
	if
	:: t == A -> free = free - ASKS(w)
	:: t == B -> given[w] = cell[B]; cell[B] = 0
	fi
#else
	given[w] = cell[t];
	cell[t] = 0
#endif
}

/* Whoever asks has it. */
inline receive(t, w) {
#ifdef PERMITS
	if
	:: t == A -> acquired = acquired + ASKS(w)
	:: t == B -> left[given[w]]++
	fi;
#else
	left[given[w]]++;
#endif
	given[w] = 0
}

inline put(t, v) {
	if
	:: cell[t] != 0 -> left[cell[t]]++	/* overwritten */
	:: else
	fi;
	cell[t] = v
}

/* Actions.Result */
inline result(t, w) {
#if DETACHERS > 0
	if
	:: given[w] == CANCELED -> given[w] = 0
	:: else -> receive(t, w)
	fi
#else
	receive(t, w)
#endif
}

/* The first in line that was not passed over, or NIL. */
inline next(t) {
	w = NIL;
	n = len(line[t]);
	do
	:: n > 0 ->
		n--;
		line[t]?x;
		line[t]!x;	/* round it goes: the order stays */
		if
		:: w == NIL && !(passed & BIT(x)) -> w = x
		:: else
		fi
	:: else -> break
	od;
	x = 0
}

/* Another case of w's Select has happened. It may stay in line: it is about to leave. */
inline passOver(t) {
	if
	:: d_step { passed = passed | BIT(w); next(t) }
	:: d_step { line[t]??eval(w); next(t) }
	fi
}

/* Arm.Wake, and the waker. */
inline wake() {
	d_step { assert(!(stale & BIT(w))); called[w] = true; held = held & ~BIT(w) };	/* 6 */
	d_step { permit[SLEEPER(w)] = true; w = 0 }
}

/* The waiter is done, which its Select does not look at. */
inline finish() { assert(!(stale & BIT(w))) }		/* 6 */

/* One of them. */
inline pop(list) {
	w = 0;
	do
	:: list & BIT(w) -> list = list & ~BIT(w); break
	:: else -> w++
	od
}

#ifdef PERMITS
/* Serves the line of A, which is locked: woken has those that are to be woken. */
inline serve() {
	do
	:: w == NIL || ASKS(w) > free -> break
	:: else ->
		if
		:: d_step { claim[CLAIM(w)] == OPEN -> claim[CLAIM(w)] = A + 1; happens(w) };
			d_step { free = free - ASKS(w); finish(); line[A]??eval(w); woken = woken | BIT(w); next(A) }
		:: claim[CLAIM(w)] != OPEN -> passOver(A)
		fi
	od;
	atomic { passed = 0; w = 0; locked[A] = false }
}

inline wakeAll() {
	do
	:: d_step { woken != 0 -> pop(woken) }; wake()
	:: woken == 0 -> break
	od
}
#endif

/* Actions.Try: ok tells whether it has happened. */
inline try(t, w) {
	atomic {
		!locked[t];
		if
		:: CAN(t, w) -> take(t, w); receive(t, w); ok = true
		:: else
		fi
	}
}

/* Actions.Enter */
inline enter(t, w) {
	atomic {
		!locked[t];
		if
#ifndef NO_LOOK
		:: FIRST(t) && CAN(t, w) ->
#ifdef ENTER_BLINDLY
			claim[CLAIM(w)] = t + 1;
			happened[CLAIM(w)]++;
			take(t, w)
#else
			if
			:: claim[CLAIM(w)] == OPEN -> claim[CLAIM(w)] = t + 1; happened[CLAIM(w)]++; take(t, w)
			:: else
			fi
#endif
		:: else ->
#else
		:: true ->
#endif
			line[t]!w;
			in[t] = true
		fi
	}
}

/* Queue.Remove; unused tells whether the Select itself took the waiter out. */
inline remove(t, w) {
	if
	:: line[t]??[eval(w)] -> line[t]??eval(w)
#ifdef REUSE_DETACHED
	:: !(line[t]??[eval(w)])
#else
	:: !(line[t]??[eval(w)]) -> unused = false
#endif
	fi
}

/* Actions.Leave */
inline leave(t) {
#ifdef PERMITS
	if
	:: t == A ->
		atomic { !locked[A] -> locked[A] = true; w = WAITER(s, A); remove(A, w); w = 0; next(A) };
#ifdef LEAVE_SILENTLY
		d_step { w = 0; locked[A] = false }
#else
		serve();
		wakeAll()
#endif
	:: t == B -> atomic { !locked[B] -> w = WAITER(s, B); remove(B, w); w = 0 }
	fi;
#else
	atomic { !locked[t] -> w = WAITER(s, t); remove(t, w); w = 0 };
#endif
	in[t] = false
}

#define THING(i)	((i + _pid) % 2)

active [SELECTS] proctype selecting() {
	byte i, w, s = _pid * ROUNDS, round, chosen;
	bool in[2], ok, endless, unused;
#ifdef PERMITS
	byte n, x;
	short passed, woken;
#endif

	do
	:: round < ROUNDS ->
		round++;
		do
		:: i < 2 && !ok -> try(THING(i), WAITER(s, THING(i))); i++
		:: else -> break
		od;
		i = 0;
		if
		:: ok -> goto over
		:: else
		fi;
		do
		:: d_step { i < 2 && claim[s] == OPEN -> called[WAITER(s, THING(i))] = false };
			enter(THING(i), WAITER(s, THING(i)));
			i++
		:: else -> break
		od;
		i = 0;
		if
		:: endless = true
		:: endless = false
		fi;
		do
		:: d_step { claim[s] != OPEN -> chosen = claim[s]; asleep[_pid] = false }; break
		:: d_step { claim[s] == OPEN -> asleep[_pid] = endless };
end_park:		if
			:: d_step { permit[_pid] -> permit[_pid] = false; asleep[_pid] = false }
			:: !endless ->
#ifdef WITHDRAW_BLINDLY
				d_step { claim[s] = NONE; chosen = NONE };
				break
#else
				if
				:: d_step { claim[s] == OPEN -> claim[s] = NONE; chosen = NONE }; break
				:: claim[s] != OPEN
				fi
#endif
			fi
		od;
		unused = true;
		do
		:: i < 2 ->
			if
			:: in[THING(i)] && chosen != THING(i) + 1 -> leave(THING(i))
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		/* The result, and recycle. */
		d_step {
			assert(happened[s] == (chosen != NONE));	/* 1 */
			if
			:: chosen != NONE ->
				chosen--;
				w = WAITER(s, chosen);
#ifndef REUSE_UNCALLED
				unused = unused && (!in[chosen] || called[w]);
#endif
				result(chosen, w);
				in[chosen] = false;
				w = 0
			:: else
			fi;
			chosen = 0;
			endless = false;
			if
			:: unused ->
				stale = stale | (held & (3 << (2 * s)));
				claim[s] = OPEN;
				happened[s] = 0
			:: else -> s++
			fi;
			unused = false
		};
over:		ok = false
	:: else -> break
	od;
	atomic { round = 0; s = 0 }
}

#if TAKERS > 0
/* A taker, whose context does not end. */
active [TAKERS] proctype taking() {
	byte w = WAITER(SELECTIONS + _pid - SELECTS, A);
	bool ok, in[2];

	try(A, w);
	if
	:: !ok ->
		enter(A, w);
		do
		:: claim[CLAIM(w)] != OPEN -> break
		:: d_step { claim[CLAIM(w)] == OPEN -> asleep[_pid] = true };
end_park:		d_step { permit[_pid] -> permit[_pid] = false; asleep[_pid] = false }
		od;
		atomic {
			result(A, w)
		}
	:: else
	fi;
	d_step { ok = false; in[A] = false; w = 0 }
}
#endif

/* The Select may go on while this happens. */
inline finishAndWake(t) {
	d_step { finish(); line[t]??eval(w); passed = 0; locked[t] = false };
	wake()
}

/* Hands the value over to the first in line that can be claimed, or puts it there. */
active [STORERS] proctype storer() {
	byte i, v, w, n, x, t = 2 - STORERS + _pid - SLEEPERS;
	short passed;

	do
	:: i < STORES ->
		i++;
		v = t * STORES + i;
		atomic { !locked[t] -> locked[t] = true; sent[v] = true; next(t) };
		do
		:: w == NIL ->
			d_step { put(t, v); w = 0; passed = 0; locked[t] = false };
			break
#ifdef HAND_FIRST
		:: else ->
			d_step { given[w] = v; happens(w) };
			if
			:: d_step { claim[CLAIM(w)] == OPEN -> claim[CLAIM(w)] = t + 1 }
			:: claim[CLAIM(w)] != OPEN
			fi;
			finishAndWake(t);
			break
#else
		:: else ->
			if
			:: d_step { claim[CLAIM(w)] == OPEN -> claim[CLAIM(w)] = t + 1; given[w] = v; happens(w) };
				finishAndWake(t);
				break
			:: claim[CLAIM(w)] != OPEN ->
#ifdef NO_PASS
				d_step { put(t, v); w = 0; locked[t] = false };
				break
#else
				passOver(t)
#endif
			fi
#endif
		od
	:: else -> break
	od;
	atomic { i = 0; v = 0; t = 0 }
}

#ifdef PERMITS
active proctype releaser() {
	byte i, w, n, x;
	short passed, woken;

	do
	:: i < RELEASES ->
		i++;
		atomic { !locked[A] -> locked[A] = true; free++; released++; next(A) };
		serve();
		wakeAll()
	:: else -> break
	od;
	i = 0
}
#endif

#if TRIERS > 0
active [TRIERS] proctype trier() {
	byte t;

	if
	:: t = A
	:: t = B
	fi;
	atomic {
		!locked[t];
		if
#ifdef PERMITS
		:: t == A && free > 0 -> free--; acquired++
		:: t == B && cell[B] != 0 -> left[cell[B]]++; cell[B] = 0
#else
		:: cell[t] != 0 -> left[cell[t]]++; cell[t] = 0
#endif
		:: else
		fi;
		t = 0
	}
}
#endif

#if DETACHERS > 0
/* Takes a line in one step, and claims those that were in it with no lock held. */
active [DETACHERS] proctype detacher() {
	byte w, t;
	short list;

	if
	:: t = A
	:: t = B
	fi;
	atomic {
		!locked[t];
		do
		:: line[t]?w -> list = list | BIT(w)
		:: empty(line[t]) -> break
		od;
		held = held | list;
		w = 0
	};
	do
	:: d_step { list != 0 -> pop(list) };
		if
		:: d_step { claim[CLAIM(w)] == OPEN -> claim[CLAIM(w)] = t + 1; given[w] = CANCELED; happens(w) };
			finish();
			wake()
		:: d_step { claim[CLAIM(w)] != OPEN -> held = held & ~BIT(w) }
		fi
	:: list == 0 -> break
	od;
	t = 0
}
#endif

/* Nobody can move: is all well? */
active proctype rest() {
	byte i, n, t, w;
	byte in[SLEEPERS];

	timeout;
	d_step {
		assert(!locked[A] && !locked[B] && held == 0);		/* 5 */
		do
		:: i < VALUES ->
			i++;
			assert(left[i] + (cell[A] == i || cell[B] == i) == sent[i])	/* 2 */
		:: else -> break
		od;
#ifdef PERMITS
		assert(free + acquired == released);			/* 2 */
		assert(empty(line[B]) || cell[B] == 0);			/* 3 */
		if
		:: nempty(line[A]) -> line[A]?<w>; assert(ASKS(w) > free)	/* 3 */
		:: empty(line[A])
		fi;
#else
		assert(empty(line[A]) || cell[A] == 0);			/* 3 */
		assert(empty(line[B]) || cell[B] == 0);			/* 3 */
#endif
		do
		:: t < 2 ->
			do
			:: line[t]?w -> assert(claim[CLAIM(w)] == OPEN); in[SLEEPER(w)]++	/* 4 */
			:: empty(line[t]) -> break
			od;
			t++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SLEEPERS -> assert(in[i] == (asleep[i] -> (i < SELECTS -> 2 : 1) : 0)); i++	/* 3, 4 */
		:: else -> break
		od
	}
}
