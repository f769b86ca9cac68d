/*
 * How a loop goes to sleep without missing its mail, how it is woken, and how
 * it ends: mailbox_linux.go, door_linux.go, doorbell_linux.go, task_linux.go and
 * the turns of loop_linux.go. Labels are the steps of the code. README.md says
 * what is left out; check.sh runs this as it is, and broken in each way that
 * an #ifdef shows.
 *
 * The door is one word, and every change of it a read-modify-write:
 *
 *      7          2  1     0
 *     +------------+--------+      signalers: wakers between their claim and the
 *     | signalers  | phase  |      end of their system call. 62 bits in the code
 *     +------------+--------+
 *
 *                announce                  claim: signalers+1
 *     +-------+ -----------> +--------+ ----------------------> +------+
 *     | awake |              | asleep |                         | signaled |
 *     +-------+ <----------- +--------+                         +------+
 *      |     ^    retract                       retract            |
 *      |     +-----------------------------------------------------+
 *      | close                      end_signal: signalers-1, in any phase
 *      v
 *     +--------+
 *     | closed |   the file descriptor is closed when signalers is 0
 *     +--------+
 *
 * The loop:   take, run ... announce, look, block, retract, take
 *                           announce, look,        retract, take   there was mail
 *                       ... seal, close                            nothing is left
 * A waker:    permit (when it wakes a task), push, claim, signal, end_signal
 *
 * A task's word: bit 0 permit, bit 1 parked, bit 2 ended.
 *
 *        park             permit: this waker pushes                resume
 *     0 ------> parked -----------------------------> both --------------> 0
 *       permit: no push             park: at once
 *     0 ----------------> permit -----------------> 0
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef WAKERS
#define WAKERS 2	/* goroutines */
#endif
#ifndef ACTIONS
#define ACTIONS 2		/* how much each of them does, at most */
#endif
#ifndef QUIRKS
#define QUIRKS 1	/* how often something happens unasked */
#endif
#define TASKS 2

#define AWAKE	0
#define ASLEEP	1
#define SIGNALED	2
#define CLOSED	3
#define PHASE	3
#define SIGNALER	4

#define PERMIT	1
#define PARKED	2
#define ENDED	4

/* Mail: task t's is t+1. */
#define NIL	0
#define POST	(TASKS + 1)
#define UNWIND	(POST + 1)
#define MAILS	(UNWIND + 1)
#define SEALED	255

byte door = AWAKE;
byte head = NIL;		/* of the mailbox */
byte next[MAILS];
byte state[TASKS] = { PARKED, PERMIT };	/* PERMIT: only Go pushes a new task */
bool closing;

/* The kernel: the doorbell's eventfd, that it was written to, its poll on the
 * ring, the poll's completion. */
bool open = true, written, armed, completed;
byte quirks = QUIRKS;		/* things that happen unasked */

/* What only the checks look at. */
bool fresh[TASKS];		/* there is something that the task has not seen */
bool queued[MAILS];		/* in the mailbox, or ready */
bool announced;			/* and not retracted */
byte claims;			/* since it was announced */
mtype = { accepted, refused, ran };
mtype posted;			/* what became of the post */
bool born;			/* Go was called for the second task */
bool held;			/* a task has the thread */

inline enqueue(x) {
	assert(!queued[x]);					/* 4 */
	queued[x] = true
}

inline settle(x, how) {
	if
	:: x == POST -> posted = how
	:: else
	fi
}

/* Task.Wake up to the push: m is the mail to push, if this waker must. */
inline wake(x) {
#ifdef WAKE_SPLIT
	d_step { fresh[x] = true; w = state[x] };
	state[x] = w | PERMIT;
#else
	d_step { fresh[x] = true; w = state[x]; state[x] = w | PERMIT };
#endif
#ifdef ALWAYS_PUSH
	m = (w & ENDED -> NIL : x + 1)
#else
	m = (w == PARKED -> x + 1 : NIL)
#endif
}

/* Wake, Go, Post or Close, as far as the push of m. */
inline choose() {
	if
	:: wake(0)
	:: born -> wake(1)
	:: _pid == 0 && !born -> d_step {
		born = true;
		m = (closing -> NIL : 2) }
#ifndef ENDLESS
	:: _pid == 0 && !posted -> d_step {
		m = (closing -> NIL : POST);
		posted = (closing -> refused : 0) }
	:: _pid == 1 && !closing -> d_step {
		closing = true;
		m = UNWIND }
#endif
	fi
}

active [WAKERS] proctype waker() {
	byte actions = ACTIONS, m, w;

next_deed:
#ifndef ENDLESS
	if
	:: actions > 0 -> actions--
	:: actions = 0; goto home
	fi;
#endif
	choose();
	if
	:: m == NIL -> goto done
	:: else
	fi;
#ifdef PUSH_AFTER_SIGNAL
	goto claim;
#endif
push:
	if
	:: d_step { head != SEALED ->
		enqueue(m);
		next[m] = head;
		head = m;
		settle(m, accepted) }
	:: d_step { head == SEALED -> settle(m, refused) };
		goto done
	fi;
#ifdef PUSH_AFTER_SIGNAL
	goto done;
#endif
claim:
	w = door;
	if
#ifdef ALWAYS_SIGNAL
	:: (w & PHASE) > ASLEEP -> goto signaled
#else
	:: (w & PHASE) != ASLEEP -> goto signaled
#endif
	:: else
	fi;
	if
	:: d_step { door == w ->
#ifdef LATE_COUNT
		door = (w & ~PHASE) | SIGNALED;
#else
		door = ((w & ~PHASE) | SIGNALED) + SIGNALER;
#endif
		claims++;
		assert(announced && claims == 1) }		/* 2 */
	:: else -> goto claim
	fi;
#ifdef LATE_COUNT
	door = door + SIGNALER;
#endif
#ifdef EARLY_END_SIGNAL
	door = door - SIGNALER;
#endif
signal:
	assert(open);						/* 3 */
	d_step {	/* and the end of the system call */
		assert(open);					/* 3 */
		written = true;
		completed = completed || armed
	};
#ifndef EARLY_END_SIGNAL
end_signal:
	door = door - SIGNALER;
#endif
signaled:
#ifdef PUSH_AFTER_SIGNAL
	goto push;
#endif
done:
	atomic { m = NIL; w = 0 };
	goto next_deed;
home:
	skip
}

/* Swap(nil), and the rest is the loop's own. */
inline take_mail() {
	d_step {
		m = head;
		head = NIL;
		last = NIL;
		do
		:: m != NIL -> t = next[m]; next[m] = last; last = m; m = t
		:: else -> break
		od;
		do
		:: last != NIL -> ready!last; t = next[last]; next[last] = NIL; last = t
		:: else -> break
		od;
		t = 0;
		batch = len(ready)
	}
}

/* The end of a task's context, as the loop brings it about: Wake, without mail. */
inline end_context(x) {
	d_step {
		over[x] = alive[x];
		if
		:: alive[x] && state[x] == PARKED -> enqueue(x + 1); ready!x + 1
		:: else
		fi;
		if
		:: alive[x] -> state[x] = state[x] | PERMIT
		:: else
		fi
	}
}

/* Gives the thread to task t, new or at the end of its park or yield. */
inline resume() {
	t = m - 1;
	if
	:: !alive[t] -> state[t] = 0; alive[t] = true; living++; new = true
	:: alive[t] && yields[t] -> yields[t] = false
	:: else ->
		assert(state[t] == (PARKED | PERMIT));		/* 4 */
		state[t] = 0
	fi
}

/* The task looks at what there is, and ends, yields, or parks. Yielding stands
 * for an operation too: the loop alone brings the task back. */
inline body() {
	do
	:: atomic { fresh[t] = false;
		if
#ifndef ENDLESS
		:: d_step { state[t] = state[t] | ENDED; alive[t] = false; living-- };
			break
#endif
		:: d_step { !over[t] && quirks > 0 -> quirks--;
			yields[t] = true; enqueue(t + 1); ready!t + 1 };
			break
		:: !over[t]
		fi };
park:
		if
		:: state[t] & PERMIT -> state[t] = 0
		:: else ->
#ifdef PARK_STORE
			state[t] = PARKED;
			break
#else
			if
			:: d_step { state[t] == 0 -> state[t] = PARKED }; break
			:: else -> state[t] = 0
			fi
#endif
		fi
	od
}

/* Takes the doorbell's completion, which may be its poll's last. */
inline reap() {
	if
	:: d_step { completed && quirks > 0 -> quirks--; completed = false; armed = false }
	:: completed = false
	fi
}

/* The loop is blocked, and nobody in the world can move: is all well? 1, 4, 6 */
inline at_rest() {
	d_step {
		assert(!closing);
		assert(head == NIL);
		assert(door < SIGNALER);
		assert(!alive[0] || (state[0] == PARKED && !fresh[0]));
		assert(!alive[1] || (state[1] == PARKED && !fresh[1]));
		all_ran()
	}
}

inline all_ran() {
	m = NIL + 1;
	do
	:: m < MAILS -> assert(!queued[m]); m++
	:: else -> break
	od;
	m = NIL;
	assert(posted != accepted)				/* 5 */
}

active proctype loop() {
	chan ready = [MAILS] of { byte };
	byte batch, m, t, last, living = 1;
	bool alive[TASKS] = { true, false };
	bool yields[TASKS], over[TASKS], new;
	bool inPoll;		/* the poll was refused: waits by poll(2), not on the ring */

take:
	take_mail();
	if
	:: batch == 0 -> goto idle
	:: else
	fi;
	do
	:: batch > 0 ->
		d_step {
			batch--;
			ready?m;
			queued[m] = false;
			if
			:: m == POST -> assert(posted == accepted); posted = ran	/* 5 */
			:: m <= TASKS -> resume()
			:: else
			fi
		};
		if
		:: m == UNWIND -> end_context(0); end_context(1)
		:: new && closing -> end_context(t)
		:: else
		fi;
		if
		:: m <= TASKS -> new = false; held = true; body(); held = false
		:: else
		fi;
		m = NIL; t = 0
	:: else -> break
	od;
	goto take;

idle:
	atomic {
		reap();
		if
		:: closing && living == 0
		:: else -> goto announce
		fi
	};
seal:
#ifdef BLIND_SEAL
	head = SEALED;
	goto close;
#else
	if
	:: d_step { head == NIL -> head = SEALED }; goto close
	:: else
	fi;
#endif
announce:
#ifdef LOOK_FIRST
	if
	:: head != NIL -> goto take
	:: else
	fi;
#endif
	atomic { door = door + (ASLEEP - AWAKE); announced = true };
look:
#if !defined(NO_LOOK) && !defined(LOOK_FIRST)
	if
	:: head != NIL -> goto retract
	:: else
	fi;
#endif
#ifdef LATE_REAP
	completed = false;
#endif
#ifdef DRAIN_FIRST
	if
	:: inPoll -> written = false
	:: else
	fi;
#endif
	if			/* the poll goes to the kernel with the call that blocks */
#ifndef NO_REARM
	:: d_step { !inPoll && !armed -> armed = true; completed = completed || written }
#endif
#if defined(NO_REARM) || defined(DEAF)
	:: !inPoll && !armed
#else
	:: d_step { !inPoll && !armed -> inPoll = true }; goto retract	/* refused: that is a completion, too */
#endif
	:: inPoll || armed
	fi;
block:
	if
	:: completed
	:: inPoll && written ->
#ifndef NO_DRAIN
		written = false
#endif
	:: d_step { quirks > 0 -> quirks-- }	/* an operation's completion, or a signal */
	:: timeout -> at_rest(); goto gone
	fi;
retract:
	atomic {
#ifdef RETRACT_STORE
		door = AWAKE;
#else
		door = door & ~PHASE;
#endif
		announced = false;
		claims = 0
	};
	reap();
	goto take;

close:
	door = door | CLOSED;
#ifndef NO_COUNT
	door < SIGNALER + CLOSED ->
#endif
	open = false;
	d_step { all_ran() };
gone:
	skip
}

#ifdef ENDLESS
ltl heard { [] <> !held -> [] (fresh[0] -> <> !fresh[0]) }	/* 1 */
#endif
