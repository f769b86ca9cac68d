package uringnet

// MostUnread is above what a Conn receives in advance, apart from one turn.
const MostUnread = mostUnread

// Streaming reports whether the multishot receive of c is armed, and how many bytes are
// pending.
func Streaming(c *Conn) (armed bool, unread int) {
	mu := &c.s.rd.mu
	mu.Lock()
	defer mu.Unlock()
	return c.s.in.armed, c.s.in.unread()
}

// ForgetPollFirst has reads not ask for it, as on Linux 5.18, and returns what undoes that.
func ForgetPollFirst() func() {
	old := noPollFirst.Swap(true)
	return func() { noPollFirst.Store(old) }
}
