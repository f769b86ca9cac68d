package waitq

// A Selector is the waker of a goroutine that selects on the Selector's channel and
// on the Done channel of a context. The zero value is ready. After a wait it can
// be used for another one, by any goroutine, so it can be kept in a pool.
//
// In general each wait gets a new channel: using the channel of one testing/synctest
// bubble outside of it ends the program, and in a bubble only a channel that was made there
// blocks durably. But the channel is most of what a wait costs, so one that was made
// outside of all bubbles is kept for further waits under the same Done channel. Such a
// wait may be in a bubble. It does not block durably there, and neither would it with a
// new channel, because the Done channel was used outside and so is not the bubble's.
type Selector struct {
	c    chan struct{}
	done <-chan struct{} // of the previous wait
	kept bool            // c serves every wait under done
}

// Channel returns the channel to receive from in a wait under a context whose Done
// channel is done.
func (s *Selector) Channel(done <-chan struct{}) <-chan struct{} {
	if !s.kept || s.done != done {
		s.c, s.kept = make(chan struct{}, 1), false
	}
	return s.c
}

// Wake sends on the channel. It does not block: the channel has room for the one
// Wake of a wait. After it the notifier must not use the Selector, or the struct
// that contains it: they may be in use for the next wait.
func (s *Selector) Wake() { s.c <- struct{}{} }

// Reuse makes the Selector ready for another wait. The channel was received from, or
// the waiter was never in line, so no Wake is still to come.
func (s *Selector) Reuse(done <-chan struct{}) {
	switch {
	case s.kept:
	case s.done == done: // the second wait; most contexts that have two have many
		s.kept = !InBubble()
	default:
		s.done = done
	}
	if !s.kept {
		s.c = nil
	}
}
