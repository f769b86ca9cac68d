//go:build race

package waitmap_test

// raceEnabled tells that the race detector watches: it allocates, and it is slow.
const raceEnabled = true
