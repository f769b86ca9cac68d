package linear_test

import "slices"

// errLimit is the result of an Acquire of more than the limit.
const errLimit = "limit"

// lockState is the state of a lock: a semaphore whose permits are served in order. A Mutex
// has one permit, and a writer of an RWMutex takes all of them.
type lockState struct {
	limit, held int
	line        string // the numbers of the waiters in line
	out         string // the numbers of those that are not, sorted, each with how it got out
}

// How a waiter got out of line, or why it never was in it.
const (
	served  byte = 1 + iota // it holds its permits
	refused                 // it was in line for more than the limit
	dead                    // its context had ended before
)

// lockSpec is the model of locks with the given limits; a history has one or several. The
// first argument of a call is the number of the lock, the second how many permits.
func lockSpec(limits ...int) *spec {
	return &spec{
		init:      lockState{limit: -1},
		partition: func(o *op) int { return lockOf(o) },
		parts:     lockParts,
		step: func(state any, e step, calls []*op) (any, bool) {
			s := state.(lockState)
			if s.limit < 0 {
				s.limit = limits[lockOf(e.op)]
			}
			return s.step(e, calls)
		},
	}
}

// lockOf returns the number of the lock that a call is about. Of a Select that is the lock
// it got: a Select has no effect on a Mutex that it did not get.
func lockOf(o *op) int {
	if o.name == "Select" {
		return o.got.v
	}
	return o.arg(0)
}

func lockParts(o *op) []part {
	switch {
	case o.name == "Select" && o.got.err == errContext:
		return nil
	case o.name == "Acquire" || o.name == "Select":
		return []part{enter, leave}
	default:
		return []part{whole}
	}
}

func (s lockState) step(e step, calls []*op) (lockState, bool) {
	n := e.arg(1)
	switch e.name {
	case "Try", "Barge": // Barge overtakes the line
		ok := s.held+n <= s.limit && (s.line == "" || e.name == "Barge")
		if ok {
			s.held += n
		}
		return s, ok == e.got.ok
	case "Release":
		return s.release(n, calls)
	case "SetLimit":
		return s.setLimit(n, calls)
	}
	if e.part == enter {
		return s.enter(e)
	}
	return s.leave(e, calls)
}

func (s lockState) got(id, how byte) lockState {
	s.out = flaggedOne(insertFlagged(s.out, id), id, how)
	return s
}

// enter applies a request. One whose context ended is not served, and may not have been in
// line: it is if there is no room, which makes no difference if it leaves at once.
func (s lockState) enter(e step) (lockState, bool) {
	n := e.arg(1)
	atOnce := s.line == "" && s.held+n <= s.limit
	switch {
	case e.got.err == errContext && (atOnce || n > s.limit):
		return s.got(e.id, dead), true
	case n > s.limit:
		return s.got(e.id, refused), e.got.err == errLimit
	case atOnce:
		s.held += n
		return s.got(e.id, served), e.got.err == "" || e.got.err == errDied
	default:
		s.line += string([]byte{e.id})
		return s, true
	}
}

// leave applies the return of a call, which must be what became of its request.
func (s lockState) leave(e step, calls []*op) (_ lockState, ok bool) {
	if s.line, ok = remove(s.line, e.id); ok { // it gives up
		s, ok = s.serve(calls)
		return s, ok && (e.got.err == errContext || e.got.err == errDied)
	}
	i := pairOf(s.out, e.id)
	if i < 0 {
		return s, false // enter comes first
	}
	how := s.out[i+1]
	s.out = s.out[:i] + s.out[i+2:]
	switch e.got.err {
	case "":
		return s, how == served
	case errLimit:
		return s, how == refused
	case errContext:
		return s, how == dead
	case errDied:
		if how == served {
			return s.release(e.arg(1), calls)
		}
		return s, how == refused
	}
	return s, false
}

func (s lockState) release(n int, calls []*op) (lockState, bool) {
	if s.held < n {
		return s, false
	}
	s.held -= n
	return s.serve(calls)
}

// serve serves the line as long as there is enough for the first. That one must have got
// the permits, or have died after that.
func (s lockState) serve(calls []*op) (lockState, bool) {
	for s.line != "" {
		id := s.line[0]
		o := calls[id]
		if s.held+o.arg(1) > s.limit {
			break
		}
		if o.got.err != "" && o.got.err != errDied {
			return s, false
		}
		s.held += o.arg(1)
		s.line = s.line[1:]
		s = s.got(id, served)
	}
	return s, true
}

func (s lockState) setLimit(n int, calls []*op) (lockState, bool) {
	s.limit = n
	for _, id := range slices.Clone([]byte(s.line)) {
		if o := calls[id]; o.arg(1) > n {
			if o.got.err != errLimit && o.got.err != errDied {
				return s, false
			}
			s.line, _ = remove(s.line, id)
			s = s.got(id, refused)
		}
	}
	return s.serve(calls)
}
