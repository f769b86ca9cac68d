/*
 * One place of the table of operations, through several lives: op_linux.go and
 * ringqueue_linux.go. What a driver does is one step each, since a loop's thread
 * or a lock puts it in line. README.md says what is left out.
 *
 *               room in the queue         its last completion
 *     idle ---> prepared ---> submitted ---------------------> completed ---> idle
 *                  |              |  ^                            ^
 *        canceled  |      cancel  |  | undone, and nobody asked   |
 *                  |              v  | (by way of prepared)       |
 *                  |          canceling --------------------------+
 *                  +----------------------------------------------+
 *
 * A cancel:  cancel -> missed? -> again (a timeout) -> cancel -> ...
 *
 * A zero-copy send has two completions: sent, which is its result, and notified,
 * before which the kernel still has the buffer.
 *
 * The user data is the operation's name and a kind. The name is the place,
 * here the only one, and a generation. Numbers in comments are those of the
 * properties in README.md.
 */

#ifndef LIVES
#define LIVES 4		/* operations, one after the other */
#endif
#ifndef QUIRKS
#define QUIRKS 4	/* how often the kernel does what it need not */
#endif
#ifndef ROOM
#define ROOM 1		/* entries of the submission queue */
#endif

mtype = { idle, prepared, submitted, completed };
mtype = { op, cancel, again };			/* kinds of user data */
mtype = { done, canceled, more, missed, sent, notified };	/* results */

/* Each with the life that it was made for, which only the checks look at. */
chan sq = [ROOM] of { mtype, byte, byte };	/* kind, name; life */
chan cq = [8] of { mtype, byte, mtype, byte };	/* kind, name, result; life */
chan line = [4] of { mtype, byte };		/* kind, name: a cancel that has no room yet */
chan mail = [LIVES] of { byte };		/* names of those whose context has ended */

mtype state = idle;
byte life, name;
bool over[LIVES + 1];				/* that life's context has ended */
byte quirks = QUIRKS;
bool held;					/* the kernel has the operation, and its buffer */
bool crowded;					/* the kernel may have no more operations */
bool performed[LIVES + 1];			/* that life's operation was done */

#ifdef NO_GENERATION
#define NAME 1
#else
#define NAME life
#endif

/* find: whether that operation is still in flight. */
#define pending (state == prepared || state == submitted)
#define found(x) (pending && name == x)

inline complete(r) { state = completed; result = r }

#define room (len(sq) < ROOM)

inline queue() {
	if
	:: room && !crowded -> sq!op, name, life; state = submitted
	:: !room || crowded -> state = prepared
	fi
}

/* Cancels need room in the queue, and none in the kernel. */
#ifdef CANCEL_WAITS
#define goes (room && !crowded)
#else
#define goes room
#endif

inline queue_cancel(what) {
	if
	:: goes && empty(line) -> sq!what, name, life
#ifdef DROP_CANCEL
	:: !goes || nempty(line)
#else
	:: !goes || nempty(line) -> line!what, name
#endif
	fi
}

inline abort() {
	if
	:: canceling
	:: !canceling && state == prepared -> canceling = true; complete(canceled)
	:: !canceling && state == submitted ->
		canceling = true;
		queue_cancel(cancel);
#ifdef RETURN_AT_ONCE
		complete(canceled)
#endif
	:: else
	fi
}

/* One completion. */
inline take() {
	cq?kind, n, r, l;
	if
	:: !found(n)		/* late: nobody waits for it */
	:: found(n) && kind == op ->
		if
#ifndef COMPLETE_ON_MORE
		:: r == more
#endif
#ifndef COMPLETE_ON_SENT
		:: r == sent -> assert(l == life); result = sent	/* 2 */
#endif
#ifdef RESUBMIT_NOTIFIED
		:: r == notified && !canceling -> queue()
#else
		:: r == notified -> assert(result == sent); complete(result)
#endif
#ifdef RESUBMIT_CANCELED
		:: r == canceled -> queue()
#else
#ifndef NO_RESUBMIT
		:: r == canceled && !canceling -> queue()
#endif
#endif
		:: else -> assert(l == life); complete(r)		/* 2 */
		fi
	:: found(n) && kind == cancel ->
		if
#ifdef COMPLETE_ON_CANCEL
		:: r == done -> complete(canceled)
#endif
#ifndef NO_AGAIN
		:: r == missed -> queue_cancel(again)
#endif
		:: else
		fi
	:: found(n) && kind == again -> queue_cancel(cancel)
	fi
}

/* The driver, and whoever waits. */
active proctype driver() {
	mtype kind, r, result;
	byte n, l;
	bool canceling;

	do
	:: d_step { state == idle && life < LIVES ->	/* launch */
		life++;
		name = NAME;
		queue() }
	:: d_step { nempty(mail) ->			/* the context has ended */
		mail?n;
		if
#ifdef LATE_MAIL
		:: pending -> abort()
#else
		:: found(n) -> abort()
#endif
		:: else
		fi;
		n = 0 }
	:: d_step { nempty(line) && goes ->		/* drain */
		line?kind, n;
		if
#ifdef STALE_CANCEL
		:: pending -> sq!kind, name, life
#else
		:: found(n) -> sq!kind, name, life
#endif
		:: else
		fi;
		kind = 0; n = 0 }
	:: d_step { state == prepared && empty(line) && room && !crowded ->
		sq!op, name, life;
		state = submitted }
	:: d_step { nempty(cq) -> take(); kind = 0; n = 0; r = 0; l = 0 }
	:: d_step { state == completed ->			/* the waiter returns */
		assert(!held);					/* 1 */
		assert(result != canceled || over[life]);	/* 5 */
		state = idle;
		result = 0;
		canceling = false }
	:: timeout ->	/* nobody can move */
		assert(state == idle && life == LIVES ||
			state == prepared && crowded && !over[life] ||
			state == submitted && held && !over[life]);	/* 4 */
		break
	od
}

/* Contexts end whenever they like, or not. */
active proctype contexts() {
end:	do
	:: d_step { life > 0 && !over[life] -> over[life] = true; mail!name }
	:: d_step { quirks > 0 -> quirks--; crowded = !crowded }	/* other operations */
	od
}

active proctype kernel() {
	chan timers = [4] of { byte, byte };
	mtype kind;
	byte n, l, itsName, itsLife;
	bool quiet, doomed, lent;	/* lent: the result is out, the buffer in use */

end:	do
	:: atomic { sq?kind, n, l ->
		if
		:: kind == op ->
			d_step {
				assert(!held);					/* 1 */
				assert(!performed[l]);				/* 7 */
				held = true; itsName = n; itsLife = l };
			if
			:: quiet = true		/* it ends when it is canceled only */
			:: quiet = false
			fi
		:: kind == again -> timers!n, l
		:: kind == cancel && held && itsName == n && lent ->	/* it is found no more */
			cq!cancel, n, missed, l;
			if
			:: quirks > 0 -> quirks--
			:: held = false; lent = false; cq!op, n, notified, itsLife
			fi
		:: kind == cancel && held && itsName == n && !doomed && !lent ->
			if
			:: quirks > 0 ->	/* it was between two places */
				quirks--;
				cq!cancel, n, missed, l
			:: doomed = true; cq!cancel, n, done, l
			:: held = false; cq!op, n, canceled, itsLife; cq!cancel, n, done, l
			fi;
			assert(over[itsLife])				/* 3 */
		:: else -> cq!cancel, n, missed, l
		fi;
		kind = 0; n = 0; l = 0 }
	:: d_step { held && !lent && (doomed || !quiet) ->
		held = false; doomed = false; performed[itsLife] = true;
		cq!op, itsName, done, itsLife }
	:: d_step { held && doomed ->
		held = false; doomed = false;
		cq!op, itsName, canceled, itsLife }
	:: d_step { held && !lent && !doomed && quirks > 0 ->
		quirks--; lent = true; performed[itsLife] = true;
		cq!op, itsName, sent, itsLife }
	:: d_step { held && lent ->
		held = false; lent = false;
		cq!op, itsName, notified, itsLife }
	:: d_step { held && !lent && !doomed && quirks > 0 ->	/* its thread has exited */
		quirks--; held = false;
		cq!op, itsName, canceled, itsLife }
	:: d_step { held && !lent && quirks > 0 ->
		quirks--;
		cq!op, itsName, more, itsLife }
	:: d_step { nempty(timers) ->
		timers?n, l;
		cq!again, n, done, l;
		n = 0; l = 0 }
	od
}
