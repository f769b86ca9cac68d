// Package yield names the moments between two steps of a protocol: a look was
// taken and nothing done about it yet, a word has changed and nobody has been
// told. Tests that are built with the tag vigil_yield hold up who passes such a
// [Point], so that orders come about which are else a matter of luck. Without
// the tag [At] is nothing.
package yield

// A Point is one such moment.
//
//go:generate go run golang.org/x/tools/cmd/stringer@v0.40.0 -type Point
type Point uint8

// The points, each with what is yet to come.
const (
	WaiterLooks   Point = iota // it is not done; Park
	WaiterParked               // Park has returned; Abandon, if it failed
	WaiterWon                  // Finish; Wake
	ContextWon                 // a goroutine's context has ended; the look for a permit
	MapGrabbed                 // a home is locked, nobody is in line; the change
	MapWritten                 // a slot has changed; the meta word that says so
	MapLines                   // the lines are locked, or not wanted; the home's lock
	MapAnnounced               // the lines are locked and announced; the second look
	MapMissed                  // the key is not there; the lines' lock
	MapFound                   // a key was found; its cell
	MapRead                    // a cell was read; the second look at its meta word
	MapHeld                    // a computation holds the key; the wait for its end
	MapTakers                  // takers may be in line; the lines' lock
	MapSettled                 // all in line are done; their wakes
	MapLeaves                  // a waiter has given up; its place in line
	MapFrozen                  // the old table is frozen; the new one
	MapAjar                    // readers find the size of the new table; its place
	MapDoor                    // readers find the new table; writers
	MapClosed                  // the map is closed; the sweep of the lines
	FutureJoins                // a goroutine is in a Future's line; its second look
	NotifyKeeps                // nobody is in line; the permit
	NotifyTries                // the permit is there; the compare-and-swap that takes it
	NotifyEnters               // the word has changed under a waiter; the second look
	NotifyPicked               // a waiter is out of line; its wake
	NotifyFailed               // Park failed; the way out of line
	GroupCounted               // the count has changed and somebody is in line; his release
	GroupTickets               // the count was read; the ticket
	GroupReleased              // waiters are out of line; their wakes
	GroupFailed                // Park failed; the way out of line
	TaskPermits                // a task has its permit; its mail
	TaskParks                  // a task has no permit; parked
	LoopMailed                 // there is mail; the look at the door
	LoopClaimed                // the ring is claimed; the ring
	LoopAnnounced              // the loop is asleep to others; its look for mail
	LoopBlocks                 // there was no mail; the system call
	LoopSealed                 // no more mail is taken; the door's end
	LoopThreads                // the list of loops is read; the number of one's thread
	FlightMissed               // no flight was found; one's own
	FlightFound                // a flight was found; its lock
	FlightOpened               // a flight is in the map; its look at the shelf
	FlightParked               // Park has returned; the way out of line, if it failed
	FlightLeft                 // a flight cannot be joined any more; its place in the map
	FlightPublish              // the flight is locked; its result's place on the shelf
	FlightLanded               // the result is there; the callers' wakes
	FlightSweep                // the flights of the map have ended; the strays
	CacheSweep                 // an entry was found dead; its end
	CacheStores                // the cache is open, and this its epoch; an entry's place on the shelf
	CacheInvalid               // an epoch has begun; the sweep of the flights
	points
)
