//go:build race

package dedup_test

// raceEnabled tells that the race detector watches: it allocates, and it is slow.
const raceEnabled = true
