package linear_test

// onceState has the number of the run that callers can join, or 0, and that of the run
// whose value is kept, or 0.
type onceState struct{ current, kept int }

// onceSpec is the model of an await.Once, for each of several. A Run has the number of the
// call of Do whose function it runs, and whether that succeeded. It can be joined from its
// first instant, after that call began and before the function did, until its second,
// after the function returned and before any caller had the result. At the second, the
// value is kept; but that of a Run without callers is dropped. A Do has the number of a
// Run that it joined, or whose value is kept. One that failed by its own context may have
// joined any Run, and has no value.
var onceSpec = &spec{
	init:      onceState{},
	partition: func(o *op) int { return o.arg(0) },
	parts:     onceParts,
	step: func(state any, s step, calls []*op) (any, bool) {
		return state.(onceState).step(s, calls)
	},
}

func onceParts(o *op) []part {
	switch {
	case o.name == "Run":
		return []part{enter, leave}
	case o.got.err == errContext && !o.got.valued():
		return nil
	default:
		return []part{enter}
	}
}

func (s onceState) step(e step, calls []*op) (onceState, bool) {
	n := e.arg(1)
	switch {
	case e.name == "Run" && e.part == enter:
		return onceState{current: n}, s == onceState{}
	case e.name == "Run":
		return s.without(n, e.got.ok && callersOf(calls, n) > 0), true
	case e.name == "Do" && e.got.err == "":
		return s, e.got.v != 0 && (s.current == e.got.v || s.kept == e.got.v)
	case e.name == "Do" && e.got.err == errOwn:
		return s, e.got.v != 0 && s.current == e.got.v
	}
	return s, false
}

// without ends run n, if it can be joined until then.
func (s onceState) without(n int, keep bool) onceState {
	switch {
	case s.current != n:
		return s
	case keep:
		return onceState{kept: n}
	default:
		return onceState{}
	}
}
