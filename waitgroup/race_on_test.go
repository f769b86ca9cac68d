//go:build race

package waitgroup_test

// raceEnabled tells that the race detector watches: it allocates, and it is slow.
const raceEnabled = true
