// Package schedpoint names points between two steps of a protocol, such as after
// a goroutine looked at a word and before it acts on what it saw, or after a word
// has changed and before the waiters are told. Tests built with the tag
// vigil_schedpoint delay goroutines at such a [Point], which produces orders that
// otherwise occur by chance. Without the tag [At] does nothing.
package schedpoint

// A Point is one such point.
//
//go:generate go run golang.org/x/tools/cmd/stringer@v0.40.0 -type Point
type Point uint8

// The points. Each comment says what has happened and what the goroutine does next.
const (
	WaiterLooks   Point = iota // the waiter is not done; next: Park
	WaiterParked               // Park has returned; next: Abandon, if Park failed
	WaiterWon                  // the waiter is finished; next: its wake
	SelectEntered              // a Select is in line for a case; next: the look at its claim
	SelectClaimed              // a Select's claim is won for a waiter; next: the waiter is finished
	SelectParked               // a Select's Park has returned; next: it withdraws, if Park failed
	LockTries                  // a lock's word was read; next: the compare-and-swap that takes it
	LockEnters                 // a waiter has found too few permits free; next: the second look, which sets waiting
	LockSelects                // a Select has set waiting; next: its second look
	LockGrants                 // a waiter is finished, or a Select has claimed itself; next: its permits are added to the word
	LockPicked                 // a waiter is out of line; next: its wake
	LockFailed                 // a waiter has given up; next: it leaves the line
	ValueEnters                // there was no newer version; next: the lock and the second look
	ValueStored                // a version can be loaded and its waiters are out of line; next: their wakes
	QueueEnters                // a Queue was full, or empty; next: its lock and the second look
	QueuePicked                // a waiter is out of line, and served; next: its wake
	QueueFailed                // a waiter has given up; next: it leaves the line
	ContextWon                 // the goroutine's context has ended; next: the look for a permit
	MapLocked                  // a home is locked and no waiter is in line; next: the change
	MapWritten                 // a slot has changed; next: the meta word that publishes it
	MapLines                   // the lines are locked, or not needed; next: the lock of the home
	MapAnnounced               // the lines are locked and announced; next: the second look
	MapMissed                  // the key is not there; next: the lock of the lines
	MapFound                   // a key was found; next: the read of its cell
	MapRead                    // a cell was read; next: the second look at its meta word
	MapHeld                    // a computation holds the key; next: the wait for its end
	MapDelivers                // waiters may be in line; next: the lock of the lines
	MapStored                  // a value can be loaded, its home is locked; next: its waiter is finished
	MapDelivered               // all waiters in line are finished; next: their wakes
	MapLeaves                  // a waiter has given up; next: it leaves the line
	MapFrozen                  // the old table is frozen; next: the new table is filled
	MapViewHalf                // readers see the size of the new table; next: its address
	MapView                    // readers see the new table; next: writers see it
	MapClosed                  // the map is closed; next: the sweep of the lines
	FutureJoins                // a Future is not done; next: the lock of its lines and the second look
	NotifyKeeps                // no waiter is in line; next: the permit is stored
	NotifyTries                // the permit is there; next: the compare-and-swap that takes it
	NotifyEnters               // the word has changed since a waiter looked; next: the second look
	NotifyClaims               // a Select's waiter is out of line, or the permit is reserved for it; next: its claim
	NotifyPicked               // a waiter is out of line; next: its wake
	NotifyFailed               // Park has failed; next: the waiter leaves the line
	GroupCounted               // the count has changed while waiters are in line; next: their release
	GroupTickets               // the count was read; next: the ticket
	GroupReleased              // waiters are out of line; next: their wakes
	GroupFailed                // Park has failed; next: the waiter leaves the line
	TaskPermits                // a task has its permit; next: its mail
	TaskParks                  // a task has no permit; next: it parks
	TaskFollows                // a task's starter has returned; next: its context follows the starter's parent
	LoopMailed                 // there is mail; next: the look at the door
	LoopClaimed                // the right to signal the loop is claimed; next: the signal
	LoopAnnounced              // the loop is announced asleep; next: its look for mail
	LoopBlocks                 // there was no mail; next: the system call
	LoopSealed                 // no more mail is accepted; next: the door is closed
	LoopThreads                // the list of loops was read; next: the caller's thread number
	SleepEnds                  // an interrupt has ended a sleep in the netpoller, and is cleared; next: the look for its reason
	FlightMissed               // there is no value; next: the look for a flight
	FlightOpened               // there is no flight and the epoch is known; next: the look into the store
	FlightParked               // Park has returned; next: the caller leaves the line, if Park failed
	FlightLeft                 // a flight can no longer be joined; next: its cancellation or its end
	FlightHanded               // the first caller is to finish the flight; next: it does so
	FlightPublish              // the flight is locked; next: its result is stored
	FlightWakes                // the result is there; next: the wakes of the callers
	FlightSweep                // the flights of a shard have ended or were detached; next: the next shard
	CacheSweep                 // an entry was found expired; next: its removal
	CacheStores                // there is an entry; next: the look whether the cache is open, then the store
	CacheInvalid               // a new epoch has begun; next: the sweep of the flights
	OnceMissed                 // there is no value; next: the lock and the second look
	OnceParked                 // Park has returned; next: the caller leaves the line, if Park failed
	OnceLeft                   // a caller has left the line; next: the function is canceled, if no other waits
	OnceEnds                   // the function has ended; next: the lock, under which its value is kept
	OnceWakes                  // the result is there; next: the wakes of the callers
	TasksLooked                // children run; next: a waiter gets in line, after the second look
	TasksParked                // Park has returned; next: the waiter leaves the line, if Park failed
	TasksFails                 // the first error is there; next: the context ends
	TasksWakes                 // no child runs; next: the context ends, then the wakes of the waiters
	points
)
