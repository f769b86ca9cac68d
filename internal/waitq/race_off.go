//go:build !race

package waitq

// raceEnabled tells that the race detector watches, which does not know sync.Cond.
const raceEnabled = false
