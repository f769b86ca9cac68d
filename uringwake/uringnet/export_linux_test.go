package uringnet

// HasWaiter reports whether an Accept sleeps in user space.
func HasWaiter(l *Listener) bool {
	l.s.rd.mu.Lock()
	defer l.s.rd.mu.Unlock()
	return l.s.rd.waiter != nil
}
