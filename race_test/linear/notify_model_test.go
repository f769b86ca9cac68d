package linear_test

import "slices"

// notifyState is the state of a Notify.
type notifyState struct {
	permit bool
	line   string // the numbers of the waiters in line
	out    string // the numbers of the picked waiters, sorted, each with its flags
}

// Flags of a picked waiter.
const (
	handsOn  byte = 1 << iota // picked by NotifyOne, NotifyLast or the permit
	consumed                  // the wake was consumed by Ready or a Listener's Wait
)

// errDied is the result of a Wait whose parker panicked when it was woken.
const errDied = "died"

// notifySpec is the model of a Notify. Listen, Ready, Stop and Hear (Listener.Wait)
// have the number of the Listener.
var notifySpec = &spec{
	init:      notifyState{},
	partition: func(*op) int { return 0 },
	parts:     notifyParts,
	step: func(state any, s step, calls []*op) (any, bool) {
		return state.(notifyState).step(s, calls)
	},
}

// notifyParts: a wait that failed and was not known to be in line may never have
// been there, because a wait whose context has already ended does not get in line.
func notifyParts(o *op) []part {
	failed := o.got.err == errContext && o.parked == 0
	switch {
	case (o.name == "Wait" || o.name == "Hear") && failed:
		return nil
	case o.name == "Wait":
		return []part{enter, leave}
	case o.name == "Hear":
		return []part{leave}
	default:
		return []part{whole}
	}
}

func (s notifyState) step(e step, calls []*op) (notifyState, bool) {
	switch e.name {
	case "NotifyOne", "NotifyLast":
		return s.one(e.name == "NotifyLast", calls)
	case "NotifyN":
		return s.some(min(e.arg(0), len(s.line)), e.got.v, calls)
	case "NotifyWaiters":
		return s.some(len(s.line), e.got.v, calls)
	case "TryWait":
		ok := s.permit == e.got.ok
		s.permit = false
		return s, ok
	case "Listen":
		return s.enter(e.id), true
	case "Wait":
		return s.wait(e, calls)
	default:
		return s.listener(e, calls)
	}
}

func (s notifyState) enter(id byte) notifyState {
	if s.permit {
		s.permit = false
		s.out = flaggedOne(insertFlagged(s.out, id), id, handsOn)
	} else {
		s.line += string([]byte{id})
	}
	return s
}

func (s notifyState) wait(e step, calls []*op) (next notifyState, ok bool) {
	if e.part == enter {
		ok := !s.permit || e.got.err == ""
		return s.enter(e.id), ok
	}
	if e.got.err == errContext { // the wait must still be in line
		s.line, ok = remove(s.line, e.id)
		return s, ok
	}
	if e.got.err == errDied {
		return s.die(e.id, calls)
	}
	i := pairOf(s.out, e.id)
	if i < 0 || e.got.err != "" {
		return s, false
	}
	s.out = s.out[:i] + s.out[i+2:]
	return s, true
}

// die applies a Wait that leaves without having consumed anything. A parker may
// wake without a reason, so the Wait may still be in line.
func (s notifyState) die(id byte, calls []*op) (_ notifyState, ok bool) {
	if s.line, ok = remove(s.line, id); ok {
		return s, true
	}
	i := pairOf(s.out, id)
	if i < 0 {
		return s, false
	}
	return s.abandon(i, calls)
}

// abandon removes the i-th picked waiter, and hands its wake on if required.
func (s notifyState) abandon(i int, calls []*op) (notifyState, bool) {
	flags := s.out[i+1]
	s.out = s.out[:i] + s.out[i+2:]
	if flags == handsOn {
		return s.one(false, calls)
	}
	return s, true
}

// pick takes the i-th waiter out of line. If it is in Wait, that must have
// succeeded, or died after the wake.
func (s notifyState) pick(i int, flags byte, calls []*op) (notifyState, bool) {
	id := s.line[i]
	if o := calls[id]; o.name == "Wait" && o.got.err != "" && o.got.err != errDied {
		return s, false
	}
	s.line = s.line[:i] + s.line[i+1:]
	s.out = flaggedOne(insertFlagged(s.out, id), id, flags)
	return s, true
}

func (s notifyState) one(last bool, calls []*op) (notifyState, bool) {
	switch {
	case s.line == "":
		s.permit = true
		return s, true
	case last:
		return s.pick(len(s.line)-1, handsOn, calls)
	default:
		return s.pick(0, handsOn, calls)
	}
}

func (s notifyState) some(n, said int, calls []*op) (_ notifyState, ok bool) {
	if n != said {
		return s, false
	}
	for range n {
		if s, ok = s.pick(0, 0, calls); !ok {
			return s, false
		}
	}
	return s, true
}

// listener applies a call on a Listener.
func (s notifyState) listener(e step, calls []*op) (notifyState, bool) {
	id := byte(slices.IndexFunc(calls, func(o *op) bool { return o != nil && o.name == "Listen" && o.arg(0) == e.arg(0) }))
	rest, inLine := remove(s.line, id)
	i := pairOf(s.out, id)
	if !inLine && i < 0 {
		return s, false // Listen comes first
	}
	switch e.name {
	case "Ready":
		return s.consume(id), e.got.ok == !inLine
	case "Hear":
		return s.consume(id), e.got.err == "" && !inLine || e.got.err == errContext && inLine
	case "Stop":
		if inLine {
			s.line = rest
			return s, e.got.ok
		}
		next, ok := s.abandon(i, calls)
		return next, ok && !e.got.ok
	}
	panic("linear_test: the model of a Notify does not know " + e.name)
}

func (s notifyState) consume(id byte) notifyState {
	s.out = flaggedOne(s.out, id, consumed)
	return s
}

// flaggedOne sets flags on one member, if it is in the set.
func flaggedOne(set string, id, flags byte) string {
	i := pairOf(set, id)
	if i < 0 {
		return set
	}
	return set[:i+1] + string([]byte{set[i+1] | flags}) + set[i+2:]
}
