/*
 * A Semaphore of the cluster: PERMITS keys of a bucket, each absent or held by a lease, and
 * PROCESSES, of which the first has CALLERS goroutines, and the others have one each.
 * cluster/semaphore.go, slots.go; README.md says what is left out; check.sh runs this as it
 * is, and broken in each way that an #ifdef shows. lease.pml is the model of one lease.
 *
 *     Acquire:  the line is not locked: try
 *               else, or if there was none: lock the line; note the version of the changes; try;
 *               ... there is none: wait until there are newer changes, and so on
 *     try:      claim a key that no other goroutine of the process has claimed, and that this
 *               process sees without a lease, or with one that it has left behind
 *               put a lease in place of what was seen
 *               ... refused: give up the claim, which is a change; claim the next one
 *     Release:  delete the lease; give up the claim, which is a change
 *     A change is also what the process sees of a key that is not leased any more
 *
 * Processes see each key as it was a while ago, and may miss revisions. A write whose answer is
 * lost may have been carried out; then the key is read.
 *
 * Bounds: each goroutine calls Acquire CALLS times; ENDS of leases whose holder lives; LOST
 * answers; LEFT leases, of a Release that was not carried out, or a holder that has died. With
 * FEWER the first process uses the first permit only.
 *
 * Numbers in comments are those of the properties in README.md.
 */

#ifndef PERMITS
#define PERMITS 1
#endif
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef ENDS
#define ENDS 1
#endif
#ifndef LOST
#define LOST 1
#endif
#ifndef LEFT
#define LEFT 1
#endif

#define REVISIONS 32
#define NONE 255

/* The bucket. */
byte revision;
typedef Key {
	bool leased;
	byte at;			/* the revision of what is there, or of its deletion */
	byte holder			/* a process */
}
Key keys[PERMITS];
bool idle[PERMITS];			/* nobody renews the lease */

/* What a process has. */
typedef Process {
	Key seen[PERMITS];
	bool claimed[PERMITS];
	bool line;			/* locked */
	bool changes			/* newer than the version that the first in line has noted */
}
Process procs[PROCESSES];

byte ends, lost, left;

/* What only the checks look at. */
byte held[PERMITS];			/* calls that hold a permit, and believe so */
byte fences[PERMITS];			/* the last one */

#define FREE(p, k)	(!procs[p].claimed[k] && k < PERMITS_OF(p) && (!procs[p].seen[k].leased || procs[p].seen[k].holder == p))
#ifdef FEWER
#define PERMITS_OF(p)	(p == 0 -> 1 : PERMITS)
#else
#define PERMITS_OF(p)	PERMITS
#endif

/* The process sees the key as it is now. */
inline sight(p, k) {
#ifdef MISS_ENDS
	procs[p].changes = procs[p].changes || 0;
#else
	procs[p].changes = procs[p].changes || procs[p].seen[k].at != keys[k].at && !keys[k].leased;
#endif
	procs[p].seen[k].leased = keys[k].leased;
	procs[p].seen[k].at = keys[k].at;
	procs[p].seen[k].holder = keys[k].holder
}

inline put(k, lease) {
	revision++;
	assert(revision < REVISIONS);
	keys[k].leased = lease;
	keys[k].at = revision;
	idle[k] = false
}

/* The answer to a write comes, or is lost. */
inline answer() {
	if
	:: known = true
	:: lost < LOST -> lost++; known = false
	fi
}

inline unclaim(p, k) {
#ifndef NO_CLAIM
	procs[p].claimed[k] = false;
#endif
#ifndef UNCLAIM_SILENTLY
	procs[p].changes = true
#endif
}

/* The caller holds the permit. */
inline begin(k) {
	held[k]++;
	assert(held[k] == 1 || ends > 0);		/* 1 */
	assert(keys[k].at == fence && fence > fences[k]);			/* 2 */
	fences[k] = fence
}

proctype Caller(byte me) {
	byte k = NONE;			/* the key that is claimed */
	byte at;			/* the revision of what was seen then */
	byte fence;			/* of the lease, which says whose it is; 0 if it was refused */
	byte calls;
	bool ok, known, first;		/* first: has locked the line */

call:	if
	:: calls == CALLS -> goto out
	:: else -> calls++
	fi;
	if
	:: procs[me].line -> goto line
	:: !procs[me].line -> goto try
	fi;

line:	atomic { !procs[me].line -> procs[me].line = true; first = true }
note:
#ifndef NOTE_LATE
	procs[me].changes = false;
#endif

try:	atomic {
		if
		:: FREE(me, 0) -> k = 0
#if PERMITS > 1
		:: FREE(me, 1) -> k = 1
#endif
		:: else -> k = NONE
		fi;
		if
		:: k == NONE && !first -> goto line
		:: k == NONE && first -> goto wait
		:: else
		fi;
		at = procs[me].seen[k].at;
#ifndef NO_CLAIM
		procs[me].claimed[k] = true
#endif
	}

take:	atomic {
#ifdef SEEN_LATE
		at = procs[me].seen[k].at;
#endif
		ok = keys[k].at == at;
#ifdef BLIND
		ok = true;
#endif
		if
		:: ok ->
			put(k, true);
			keys[k].holder = me;
			fence = revision
		:: else -> fence = 0
		fi;
		answer();
		if
		:: known && ok -> sight(me, k); begin(k); goto hold
		:: known && !ok -> sight(me, k); unclaim(me, k); goto try
		:: else
		fi
	}
	atomic {
		sight(me, k);
		if
#ifdef TRUST
		:: true -> begin(k); goto hold
#else
		:: keys[k].leased && keys[k].at == fence -> begin(k); goto hold
		:: else -> unclaim(me, k); goto try
#endif
		fi
	}

wait:
#ifdef NOTE_LATE
	procs[me].changes = false;
#endif
	procs[me].changes;
	goto note;

hold:	if
	:: first -> first = false; procs[me].line = false
	:: else
	fi;
	if
	:: atomic {
		left < LEFT ->				/* its Release does not reach the engine, or it has died */
		left++;
		idle[k] = keys[k].at == fence;
		held[k]--;
		unclaim(me, k);
		goto next
	}
	:: true
	fi;

release: atomic {
		held[k]--;
		ok = keys[k].leased && keys[k].at == fence;
#ifdef RELEASE_BLINDLY
		ok = keys[k].leased;
#endif
		if
		:: ok ->
			assert(keys[k].at == fence);		/* 3 */
			put(k, false)
		:: else
		fi;
		answer();
		if
		:: known -> sight(me, k)
		:: else
		fi
	}
	unclaim(me, k);

next:	atomic { k = NONE; at = 0; fence = 0; ok = false; known = false };
	goto call;

out:	skip
}

/* Leases end. */
proctype Clock(byte k) {
end:	do
	:: atomic { keys[k].leased && idle[k] -> put(k, false) }
	:: atomic { keys[k].leased && ends < ENDS -> ends++; put(k, false) }
	od
}

/* A process sees a key as it is by now. */
proctype Watcher(byte p, k) {
end:	do
	:: atomic { procs[p].seen[k].at != keys[k].at -> sight(p, k) }
	od
}

init {
	byte i, j;
	atomic {
		for (i : 0 .. PROCESSES - 1) {
			for (j : 1 .. (i == 0 -> CALLERS : 1)) {
				run Caller(i)
			}
			for (j : 0 .. PERMITS - 1) {
				run Watcher(i, j)
			}
		}
		for (j : 0 .. PERMITS - 1) {
			run Clock(j)
		}
		i = 0;
		j = 0
	}
}
