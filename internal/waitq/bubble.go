package waitq

import "time"

// InBubble reports whether the calling goroutine is in a testing/synctest bubble,
// where the time has no monotonic reading. A channel that is made in a bubble must
// not be used outside of it, and in a bubble only such a channel blocks durably.
func InBubble() bool {
	now := time.Now()
	return now == now.Round(0)
}
