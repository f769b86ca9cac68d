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

// Asleep reports whether an operation of a side sleeps in user space, and how many are in
// line behind it. The side is that of a Listener, or that of a Conn's reads or writes.
func Asleep(on any, write bool) (asleep bool, inLine int) {
	s := sideOf(on, write)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiter != nil, s.lock.Waiters()
}

func sideOf(on any, write bool) *side {
	switch on := on.(type) {
	case *Listener:
		return &on.s.rd
	case *Conn:
		if write {
			return &on.s.wr
		}
		return &on.s.rd
	}
	panic("neither Listener nor Conn")
}
