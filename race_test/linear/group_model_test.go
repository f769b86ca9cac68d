package linear_test

import "slices"

// groupState is the state of a Group. A generation lasts from one zero to the next.
type groupState struct {
	count   int
	gen     byte
	firm    byte   // the waiters released in an older generation have been told
	line    string // the numbers of the waiters and of the channels of Idle
	free    string // the numbers of those whose zero has been, sorted, each with its generation
	unready string // calls that left or made a zero and have not returned, each with the generation that is told when they do
}

const (
	firstGen = 2
	longAgo  = 1   // the generation of channels that were closed from the start
	perhaps  = 255 // a channel of Idle that an earlier zero may close
)

// groupSpec is the model of a Group. Its documentation allows one deviation from
// the total order: a waiter that a zero released may be told a little later, until
// the call that made the zero, or one that counted up from it, has returned. So
// these calls have a second instant. Idle and Poll, a look at its channel, have the
// number of the channel.
var groupSpec = &spec{
	init:      groupState{gen: firstGen, firm: firstGen},
	partition: func(*op) int { return 0 },
	parts:     groupParts,
	step: func(state any, s step, calls []*op) (any, bool) {
		return state.(groupState).step(s, calls)
	},
}

func groupParts(o *op) []part {
	switch {
	case o.name == "Add":
		return []part{whole, settle}
	case o.name != "Wait" || o.got.err == errContext && o.parked == 0:
		return []part{whole}
	default:
		return []part{enter, leave}
	}
}

func (s groupState) step(e step, calls []*op) (groupState, bool) {
	switch {
	case e.name == "Add" && e.part == settle:
		return s.settle(e.id)
	case e.name == "Add":
		return s.add(e.id, e.arg(0)), true
	case e.name == "TryWait":
		return s, e.got.ok == (s.count == 0)
	case e.name == "Count":
		return s, e.got.v == s.count
	case e.name == "Wait":
		return s.wait(e)
	case e.name == "Idle":
		return s.idle(e.id), true
	case e.name == "Poll":
		return s, s.poll(e, calls)
	}
	panic("linear_test: the model of a Group does not know " + e.name)
}

// add counts. When it returns, the slack of a generation ends: of the generation
// that ends with this call, or of those before the one that begins with it.
func (s groupState) add(id byte, n int) groupState {
	until := byte(0)
	if s.count == 0 && n > 0 {
		s.gen++
		until = s.gen
	}
	if s.count += n; s.count == 0 {
		until = s.gen + 1
		for _, w := range []byte(s.line) {
			s.free = flaggedOne(insertFlagged(s.free, w), w, s.gen)
		}
		s.line = ""
	}
	s.unready = flaggedOne(insertFlagged(s.unready, id), id, until)
	return s
}

func (s groupState) settle(id byte) (groupState, bool) {
	i := pairOf(s.unready, id)
	if i < 0 {
		return s, false
	}
	s.firm = max(s.firm, s.unready[i+1])
	s.unready = s.unready[:i] + s.unready[i+2:]
	return s, true
}

func (s groupState) wait(e step) (groupState, bool) {
	switch {
	case e.part == whole: // it failed
		return s, s.count > 0
	case e.part == enter && s.count == 0:
		s.free = flaggedOne(insertFlagged(s.free, e.id), e.id, longAgo)
		return s, e.got.err == ""
	case e.part == enter:
		s.line += string([]byte{e.id})
		return s, true
	}
	rest, inLine := remove(s.line, e.id)
	i := pairOf(s.free, e.id)
	if inLine {
		s.line = rest
		return s, e.got.err == errContext
	}
	if i < 0 {
		return s, false
	}
	gen := s.free[i+1]
	s.free = s.free[:i] + s.free[i+2:]
	return s, e.got.err == "" || e.got.err == errContext && s.count > 0 && gen >= s.firm
}

func (s groupState) idle(id byte) groupState {
	switch {
	case s.count == 0:
		s.free = flaggedOne(insertFlagged(s.free, id), id, longAgo)
	case s.unready != "":
		s.free = flaggedOne(insertFlagged(s.free, id), id, perhaps)
	default:
		s.line += string([]byte{id})
	}
	return s
}

// poll looks at a channel. The call that took the channel out of line closes it
// before it returns. That may be any call that counts or waits.
func (s groupState) poll(e step, calls []*op) bool {
	id := byte(slices.IndexFunc(calls, func(o *op) bool { return o != nil && o.name == "Idle" && o.arg(0) == e.arg(0) }))
	if _, inLine := remove(s.line, id); inLine {
		return !e.got.ok
	}
	i := pairOf(s.free, id)
	if i < 0 || e.got.ok {
		return i >= 0
	}
	switch s.free[i+1] {
	case longAgo:
		return false
	case perhaps:
		return true
	default:
		return slices.ContainsFunc(calls, func(o *op) bool {
			return o != nil && (o.name == "Add" || o.name == "Wait") && o.call < e.ret && e.call < o.ret
		})
	}
}
