/*
 * A load across machines: one key of the cluster's bucket, which is absent, or held by a
 * lease, or has the result of the lease before. cluster/flight.go; README.md says what
 * is left out; check.sh runs this as it is, and broken in each way that an #ifdef shows.
 *
 *     Do:       look at the key as this process sees it
 *               a result that came since the call began: return it
 *               a lease of another process, the first time: it may have ended before the
 *               call, so wait until all is seen that there is, and look again
 *               a lease of another process: wait until something else is seen
 *               else: put a lease in place of what was seen, and load under it
 *               ... the load is done: put the result in place of the lease
 *               ... one of these is refused: wait until something else is seen. What refused the
 *               first lease may have ended before the call, so wait until all is seen
 *     Renewal:  put the lease in place of itself
 *     Close:    delete the lease; the result, if it was not put in place before, is refused
 *     An answer that is lost: read the key, and know one's own writes by their names
 *
 * A write replaces the revision that it names, or is refused. It may be carried out
 * though its answer is lost. Processes see the key as it was a while ago, and not each
 * revision, but never an older one than before. A lease may end before its holder has
 * noticed; it does end if nobody renews it. A result may be removed.
 *
 * Bounds: WORKERS, each of which calls Do CALLS times; ENDS of leases whose holder lives;
 * LOST answers; DEATHS of holders; calls that GIVE_UP their lease, without a word; RENEWALS;
 * REMOVALS of results; CLOSES of a holder's Bucket; LAGS: what a process is told of only after
 * it has looked at the key, although it was so before the call.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef ENDS
#define ENDS 1
#endif
#ifndef LOST
#define LOST 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef GIVE_UP
#define GIVE_UP 0
#endif
#ifndef RENEWALS
#define RENEWALS 1
#endif
#ifndef REMOVALS
#define REMOVALS 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef LAGS
#define LAGS 0
#endif

#define REVISIONS 32

mtype = { absent, lease, result };

/* The key. A fence is the revision of a lease's first write, and the value of a result
 * is the fence that it was loaded under. */
mtype kind = absent;
byte revision, fence;
byte name;				/* of the write */
byte holder;				/* a worker and 1, of a lease */
bool expires;				/* the lease has a time to live */

bool idle[REVISIONS];			/* nobody renews the lease of that fence */

byte names, ends, lost, deaths, given, renewals, removals, closes, lags;

/* What only the checks look at. */
bool accepted[REVISIONS];		/* the result of a fence was put in place */
bool loaded[REVISIONS];			/* a load has begun under a fence */

/* Puts something, or nothing, in place of revision r, under the fence f, or a new one if that is 0. */
inline write(r, k, f) {
	names++;
	own = names;
	ok = (revision == r);
#ifdef BLIND_LEASE
	ok = ok || k == lease;
#endif
#ifdef BLIND_RESULT
	ok = ok || k == result;
#endif
#ifdef BLIND_RELEASE
	ok = ok || k == absent && kind != absent;
#endif
	if
	:: ok ->
		assert(k == lease || kind == lease && fence == f);	/* 1 */
		revision++;
		assert(revision < REVISIONS);
		kind = k;
		name = own;
		holder = (k == lease -> me + 1 : 0);
		fence = (f == 0 -> revision : f);
#ifdef RENEWAL_STAYS
		expires = (f == 0);
#else
		expires = true;
#endif
		accepted[fence] = accepted[fence] || k == result
	:: else
	fi
}

/* The answer to a write comes, or is lost. */
inline answer() {
	if
	:: known = true
	:: lost < LOST -> lost++; known = false
	fi
}

/* The process sees the key as it is now. */
inline sight() {
	d_step {
		seen = kind;
		at = revision;
		under = fence;
		by = holder;
		since = (synced -> since : at);
		synced = true
	}
}

proctype Worker(byte me) {
	mtype seen = absent;		/* the key as this process sees it */
	byte at, under, by;		/* revision, fence and holder of that */
	byte since;			/* what came later has come since the call began */
	bool synced;			/* since is set */
	byte born;			/* the revision when the call began */
	byte held;			/* the revision of the lease */
	byte mark;			/* its fence */
	byte own;			/* the name of the last write */
	byte calls;
	bool ok, known;
#if LAGS > 0
	mtype kind_to_come;		/* the key as this process will see it next */
	byte to_come, under_to_come, by_to_come;
#endif

call:	if
	:: calls == CALLS -> goto left
	:: else -> skip
	fi;
	if
	:: true
	:: sight()			/* between two calls */
	fi;
#if LAGS > 0
	if
	:: true
	:: d_step {
		lags < LAGS && revision > at ->
		lags++;
		kind_to_come = kind;
		to_come = revision;
		under_to_come = fence;
		by_to_come = holder
	}
	fi;
#endif
	atomic { calls++; synced = false; born = revision }

look:	atomic {
		if
#ifdef ANY_RESULT
		:: seen == result ->
#else
		:: seen == result && synced && at > since ->
#endif
			assert(accepted[under]);	/* 2 */
			assert(at > born);		/* 3 */
			goto call
#ifdef NO_SYNC
		:: seen == lease && by != me + 1 ->
			if
			:: synced
			:: else -> since = at; synced = true
			fi;
			goto wait
#else
		:: seen == lease && by != me + 1 && synced -> goto wait
		:: seen == lease && by != me + 1 && !synced ->
			sight();
			goto look
#endif
		:: else
		fi
	}

acquire: atomic {
		write(at, lease, 0);
		answer();
		if
		:: known && !ok -> goto refused
		:: known && ok -> held = revision; mark = fence; sight(); goto load
		:: else
		fi
	}
	atomic {
		if
#ifdef NO_NAME
		:: kind == lease && holder == me + 1 -> held = revision; mark = fence; sight()
#else
		:: name == own -> held = revision; mark = fence; sight()
#endif
		:: else -> goto wait
		fi
	}

load:	atomic {
		assert(!loaded[mark]);		/* 4 */
		loaded[mark] = true
	}

renew:	if
	:: atomic {
		renewals < RENEWALS ->
		renewals++;
		write(held, lease, mark);
		answer();
		if
		:: known && ok -> held = revision; goto renew
		:: known && !ok -> goto wait
		:: else
		fi
	}
	atomic {
		if
		:: kind == lease && fence == mark -> held = revision; goto renew
		:: else -> goto wait
#if CLOSES > 0
		:: closes < CLOSES -> goto close
#endif
		fi
	}
#if CLOSES > 0
	:: closes < CLOSES -> goto close
#endif
	:: atomic { deaths < DEATHS -> deaths++; idle[mark] = true; goto left }
	:: atomic { given < GIVE_UP -> given++; idle[mark] = true; goto call }
	:: true
	fi;

publish: atomic {
#ifdef OLD_REVISION
		write(mark, result, mark);
#else
		write(held, result, mark);
#endif
		answer();
		if
		:: known && ok -> goto call
		:: known && !ok ->
			assert(ends + lost + deaths > 0);	/* 5 */
			goto wait
		:: else
		fi
	}
#ifdef TRUST
	assert(accepted[mark]);				/* 2 */
	goto call;
#endif
	atomic {
		if
		:: kind == result && fence == mark -> goto call
		:: kind == lease && fence == mark -> held = revision; goto publish
		:: else
#if CLOSES > 0
		:: closes < CLOSES -> goto close
#endif
		fi
	}
	goto wait;

#if CLOSES > 0
close:	atomic {
		closes++;
		write(held, absent, mark);
		answer();
		if
#ifndef RELEASE_ONCE
		:: known && !ok && kind == lease && fence == mark ->	/* a renewal */
			held = revision;
			closes--;
			goto close
		:: known && (ok || kind != lease || fence != mark)
#else
		:: known
#endif
		:: !known -> idle[mark] = true; goto left
		fi;
		assert(kind != lease || fence != mark);		/* 7 */
		goto left
	}
#endif

refused:
#if LAGS > 0
	atomic {
		if
		:: !synced && to_come > at ->
			seen = kind_to_come;
			at = to_come;
			under = under_to_come;
			by = by_to_come;
			to_come = 0;
#ifdef REFUSED_NO_SYNC
			since = at;
			synced = true;
#else
			sight();
#endif
			goto look
		:: else
		fi
	}
#endif

wait:	atomic {		/* a write that was refused has told that there is something */
#ifdef MISS_ENDS
		revision > at && kind != absent ->
#else
		revision > at ->
#endif
		sight();
		goto look
	}

left:	skip
}

inline remove() {
	revision++;
	kind = absent;
	name = 0;
	holder = 0
}

/* Leases end, and results are removed. */
proctype Clock() {
end:	do
	:: atomic {
		kind == lease && expires && idle[fence] ->
		remove()
	}
	:: atomic {
		kind == lease && expires && ends < ENDS ->
		ends++;
		remove()
	}
	:: atomic {
		kind == result && removals < REMOVALS ->
		removals++;
		remove()
	}
	od
}

init {
	byte i;
	atomic {
		for (i : 0 .. WORKERS - 1) {
			run Worker(i)
		}
		run Clock()
	}
}
