//go:build race

package testkit

// Race reports whether the race detector is on: it allocates, and is slow.
const Race = true
