#!/usr/bin/env bash
# Runs the models, which must hold, and each of their mutants, which must not.
# Needs spin and gcc, and up to 1 GiB of memory for each of up to four that run
# at a time. Prints a table, and exits non-zero if anything was not as it must be.
#
#   docs/models/check.sh          all
#   docs/models/check.sh -short   without the three largest configurations, which take
#                                 as long as a quarter of the others
set -euo pipefail
short=0
[[ ${1-} != -short ]] || short=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

for tool in spin gcc; do
	command -v "$tool" >/dev/null || {
		echo "check.sh: there is no $tool here" >&2
		exit 2
	}
done

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
most=$(nproc)
((most < 4)) || most=4
runs=0

# run COMMAND...: in the background, in a folder of its own, when it is its turn.
run() {
	while (($(jobs -rp | wc -l) >= most)); do
		wait -n || true
	done
	runs=$((runs + 1))
	mkdir "$tmp/$runs"
	"$@" "$tmp/$runs" &
}

# explore MODEL SPIN CC PAN DIR: leaves what the verifier says in DIR/log. SPIN,
# CC and PAN are flags for the three. Where a fault is found soon, optimizing takes
# longer than the search: then optimize is -O0.
optimize=-O2
explore() {
	(
		cd "$5"
		# shellcheck disable=SC2086 # these are lists
		spin -a $2 "$here/$1.pml" &&
			gcc $optimize -w -DCOLLAPSE -DMEMLIM=4000 $3 -o pan pan.c &&
			./pan -m1000000 $4
	) >"$5/log" 2>&1
}

# finding DIR: the error, in the verifier's words, or nothing.
finding() { sed -n 's/^pan:1: \(.*\) (at depth .*/\1/p' "$1/log"; }

# complete DIR: all states were searched, and nothing was found.
complete() {
	grep -q 'errors: 0$' "$1/log" &&
		! grep -Eq 'max search depth too small|Search not completed' "$1/log"
}

# reached DIR: no statement was left out. What is never reached checks nothing.
reached() { ! sed -n '/^unreached/,$p' "$1/log" | grep -v '"-end-"' | grep -q ', state '; }

# row DIR MODEL WHAT VERDICT SECONDS
row() {
	local states
	states=$(sed -n 's/^ *\([^ ]*\) states, stored.*/\1/p' "$1/log")
	if [[ $4 == WRONG ]]; then
		tail -n 40 "$1/log"
		echo "$2 $3" >>"$tmp/wrong"
	fi
	printf '%-9s  %-34s %10s %4ds  %-8s %s\n' "$2" "$3" "${states:--}" "$5" "$4" "$(finding "$1")"
}

# holds MODEL WHAT SPIN CC PAN. With -DPART in CC a part of the model may be left out.
holds() { run holding "$@"; }

# long COMMAND...: leaves it out with -short.
long() { ((short)) || "$@"; }

holding() {
	local start=$SECONDS verdict=WRONG
	if explore "$1" "$3" "$4" "$5" "$6" && complete "$6" && { [[ $4 != -DSAFETY ]] || reached "$6"; }; then
		verdict=holds
	fi
	row "$6" "$1" "$2" $verdict $((SECONDS - start))
}

# refuted MODEL MUTANT [SPIN CC PAN]
refuted() { run refuting "$1" "$2" "${3-}" "${4--DSAFETY}" "${5-}"; }

refuting() {
	local start=$SECONDS verdict=WRONG optimize=-O0
	if explore "$1" "-D$2 $3" "$4" "$5" "$6" && [[ -n $(finding "$6") ]]; then
		verdict=refuted
	fi
	row "$6" "$1" "$2${3:+ $3}" $verdict $((SECONDS - start))
}

holds doorbell "2 wakers, 2 actions each" "" -DSAFETY ""
long holds doorbell "3 wakers, 1 action each" "-DWAKERS=3 -DACTIONS=1" -DSAFETY ""
long holds doorbell "every run ends, 2 actions each" "-DQUIRKS=0" -DNP -l
holds doorbell "every run ends, 3 quirks" "-DACTIONS=1 -DQUIRKS=3" -DNP -l
holds doorbell "ltl heard, wakes without end" -DENDLESS "" "-a -f"
for mutant in NO_LOOK LOOK_FIRST LATE_REAP NO_REARM PUSH_AFTER_SIGNAL ALWAYS_SIGNAL RETRACT_STORE NO_COUNT LATE_COUNT \
	EARLY_END_SIGNAL BLIND_SEAL ALWAYS_PUSH WAKE_SPLIT PARK_STORE DEAF DRAIN_FIRST; do
	refuted doorbell "$mutant"
done
refuted doorbell NO_DRAIN "-DQUIRKS=0" -DNP -l
for mutant in NO_LOOK PARK_STORE; do
	refuted doorbell "$mutant" -DENDLESS "" "-a -f"
done

holds operation "room for 1 entry" "" -DSAFETY ""
holds operation "room for 2 entries" "-DROOM=2" -DSAFETY ""
holds operation "every run ends" "" -DNP -l
for mutant in RETURN_AT_ONCE COMPLETE_ON_CANCEL COMPLETE_ON_MORE NO_GENERATION LATE_MAIL STALE_CANCEL DROP_CANCEL NO_AGAIN \
	RESUBMIT_CANCELED NO_RESUBMIT COMPLETE_ON_SENT RESUBMIT_NOTIFIED CANCEL_WAITS; do
	refuted operation "$mutant"
done

holds keeper "2 launchers, 2 operations each" "" -DSAFETY ""
holds keeper "1 operation each, 2 quirks" "-DLIVES=1 -DQUIRKS=2" -DSAFETY ""
holds keeper "room for 1 entry, 3 quirks" "-DLIVES=1 -DQUIRKS=3 -DROOM=1" -DSAFETY ""
for mutant in STALE_KEEPER LEAVE_IN_FLIGHT WAKE_UNLOCKED WAKE_FIRST NO_RECHECK NOP_ANYWAY KEEPER_STAYS CLOSE_TWICE \
	NO_FLUSH QUEUE_SILENT NOTICES_STAY RESET_LATE NO_RETRY; do
	refuted keeper "$mutant"
done

holds waiter "2 waiters, 2 waits each" "" -DSAFETY ""
holds waiter "2 notifiers" "-DNOTIFIERS=2 -DACTIONS=1 -DWAITS=1" -DSAFETY ""
holds waiter "2 notifiers, 2 waits each, parkers" "-DNOTIFIERS=2 -DACTIONS=1 -DQUIRKS=0 -DNO_GOROUTINES" "-DSAFETY -DPART" ""
holds waiter "2 notifiers, 2 waits each, none" "-DNOTIFIERS=2 -DACTIONS=1 -DQUIRKS=0 -DNO_PARKERS" "-DSAFETY -DPART" ""
for mutant in KEEP_STORE WAITING_STORE LATE_PUSH NO_LOOK NO_TURN NO_CLEAR SPLIT_LEAVE LEAVE_BLINDLY WAKE_FIRST UNBUFFERED \
	PASS_NO_KEEP LATE_HAND_ON PASS_ALL NO_PASS LATE_TICKET FREE_ANYWAY; do
	refuted waiter "$mutant"
done

holds take "2 takers, 1 in Wait, 2 values" "" -DSAFETY ""
holds take "2 takers, 2 stores at once" "-DSTORERS=2 -DSTORES=1 -DOBSERVERS=0" "-DSAFETY -DPART" ""
holds take "1 taker, 1 in Wait, 2 stores at once" "-DSTORERS=2 -DSTORES=1 -DTAKERS=1" -DSAFETY ""
holds take "and a waiter of another key" "-DSTORES=1 -DTAKERS=1 -DNEIGHBORS=1" -DSAFETY ""
holds take "and a LoadAndDelete" "-DTAKERS=1 -DDELETERS=1" -DSAFETY ""
for mutant in NO_LOOK LOOK_FIRST NO_ANNOUNCE ANNOUNCE_LOCKED NO_RECHECK LOCK_LINES CLEAR_BLINDLY HAND_BLINDLY HAND_AND_PUT \
	FAIL_ANYWAY STAY DELIVER_ALWAYS DELIVER_BLINDLY FINISH_FIRST LEAVE_ANYWAY; do
	refuted take "$mutant"
done
for mutant in CLEAR_FIRST DELIVER_UNLOCKED; do
	refuted take "$mutant" "-DSTORERS=2 -DSTORES=1 -DTAKERS=1"
done
refuted take PUBLISH_UNLOCKED "-DSTORERS=2 -DSTORES=1 -DTAKERS=0"
refuted take CLEAR_OTHERS "-DSTORES=1 -DTAKERS=1 -DNEIGHBORS=1"

holds watch "1 in WaitFor, 3 values, a Cancel" "" -DSAFETY ""
holds watch "2 in WaitFor, 2 values" "-DWATCHERS=2 -DVALUES=2 -DCANCELERS=0" -DSAFETY ""
for mutant in NO_LOOK LOOK_FIRST LATE_WATCH SEEN_LATE NO_RECORD NO_RECORD_TAKEN NO_RECORD_CANCEL CANCEL_FIRST DROP_WATCHED; do
	refuted watch "$mutant"
done
refuted watch FORGET_EARLY "-DWATCHERS=2 -DVALUES=2 -DCANCELERS=0"

holds select "2 Selects, 1 taker, 1 take at once" "" -DSAFETY ""
holds select "2 Selects twice" "-DROUNDS=2 -DTAKERS=0 -DTRIERS=0" -DSAFETY ""
holds select "1 Select twice, a line is detached" "-DSELECTS=1 -DROUNDS=2 -DTRIERS=0 -DDETACHERS=1" -DSAFETY ""
holds select "2 Selects, permits" "-DPERMITS -DTAKERS=0 -DTRIERS=0" -DSAFETY ""
long holds select "2 Selects, 1 taker, permits" "-DPERMITS -DTRIERS=0" "-DSAFETY -DPART" ""
for mutant in NO_LOOK HAND_FIRST NO_PASS ENTER_BLINDLY WITHDRAW_BLINDLY; do
	refuted select "$mutant"
done
refuted select LEAVE_SILENTLY "-DPERMITS -DTAKERS=0 -DTRIERS=0"
refuted select REUSE_UNCALLED "-DROUNDS=2 -DTAKERS=0 -DTRIERS=0"
refuted select REUSE_DETACHED "-DSELECTS=1 -DROUNDS=2 -DTRIERS=0 -DDETACHERS=1"

holds lease "2 processes, 2 calls each" "-DDEATHS=0" "-DSAFETY -DPART" ""
holds lease "a lease is left, a result removed" "-DGIVE_UP=1 -DREMOVALS=1 -DENDS=0 -DDEATHS=0 -DRENEWALS=0" "-DSAFETY -DPART" ""
holds lease "3 processes, 1 call each, 1 death" "-DWORKERS=3 -DCALLS=1 -DLOST=0 -DENDS=0 -DRENEWALS=0" "-DSAFETY -DPART" ""
for mutant in BLIND_LEASE BLIND_RESULT RENEWAL_STAYS ANY_RESULT NO_SYNC OLD_REVISION TRUST MISS_ENDS; do
	refuted lease "$mutant"
done
refuted lease NO_NAME "-DGIVE_UP=1"
holds lease "2 processes, 2 calls each, 1 late" "-DLAGS=1 -DDEATHS=0 -DLOST=0 -DRENEWALS=0" "-DSAFETY -DPART" ""
refuted lease REFUSED_NO_SYNC "-DLAGS=1 -DDEATHS=0"
holds lease "2 processes, 1 call each, 1 Close" "-DCALLS=1 -DCLOSES=1" "-DSAFETY -DPART" ""
for mutant in BLIND_RELEASE RELEASE_ONCE; do
	refuted lease "$mutant" "-DCLOSES=1"
done

holds semaphore "1 permit, 2 goroutines and 1" "" -DSAFETY ""
holds semaphore "2 permits" "-DPERMITS=2 -DENDS=0 -DLOST=0 -DLEFT=0" "-DSAFETY -DPART" ""
holds semaphore "2 permits, of which one uses 1" "-DPERMITS=2 -DFEWER -DENDS=0 -DLOST=0" "-DSAFETY -DPART" ""
for mutant in NO_CLAIM SEEN_LATE NOTE_LATE UNCLAIM_SILENTLY MISS_ENDS BLIND TRUST RELEASE_BLINDLY; do
	refuted semaphore "$mutant"
done

wait
wrong=0
[[ ! -e $tmp/wrong ]] || wrong=$(wc -l <"$tmp/wrong")
printf '\n%d runs, %d wrong\n' "$runs" "$wrong"
((wrong == 0))
