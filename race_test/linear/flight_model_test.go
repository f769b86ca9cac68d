package linear_test

import "math"

// flightState is the number of the load that callers of a key can join, or 0, and how many
// of those that get its result have joined it.
type flightState struct{ current, joined int }

// flightSpec is the model of a dedup.Group, for each key. A Load has the number of
// the call whose function it runs. It can be joined from its first instant, after
// that call began and before the function did, until its second, after the function
// returned and before any caller had the result. A Do has the number of a Load that
// it joined, and whether other callers shared it. A failed Do may have joined any
// Load, and has no value.
var flightSpec = &spec{
	init:      flightState{},
	partition: func(o *op) int { return o.arg(0) },
	parts:     flightParts,
	step: func(state any, s step, calls []*op) (any, bool) {
		return state.(flightState).step(s, calls)
	},
}

func flightParts(o *op) []part {
	switch {
	case o.name == "Load":
		return []part{enter, leave}
	case o.name == "Do" && o.got.err == errContext && !o.got.valued():
		return nil
	case o.name == "Do":
		return []part{enter}
	default:
		return []part{whole}
	}
}

func (s flightState) step(e step, calls []*op) (flightState, bool) {
	n := e.arg(1)
	switch {
	case e.name == "Load" && e.part == enter:
		return flightState{current: n}, s.current == 0
	case e.name == "Load":
		return s.without(n), true
	case e.name == "Forget":
		return flightState{}, true
	case e.name == "ForgetUnshared" && e.got.ok:
		return flightState{}, s.joined <= 1
	case e.name == "ForgetUnshared": // callers that leave without a result count, too
		return s, s.current != 0
	case e.name == "Do":
		shared := callersOf(calls, e.got.v) > 1
		joined := flightState{s.current, s.joined + 1}
		return joined, e.got.err == "" && e.got.v != 0 && s.current == e.got.v && e.got.ok == shared
	}
	panic("linear_test: the model of a dedup.Group does not know " + e.name)
}

func (s flightState) without(n int) flightState {
	if s.current == n {
		return flightState{}
	}
	return s
}

func callersOf(calls []*op, load int) (n int) {
	for _, o := range calls {
		if o != nil && o.name == "Do" && o.got.v == load {
			n++
		}
	}
	return n
}

// landed sets when each Load, or Run of a Once, was over: before the first of its callers
// had the result. One without callers was abandoned, at any time.
func landed(ops []op) []op {
	first := make(map[int]int64)
	for _, o := range ops {
		if at, ok := first[o.got.v]; o.name == "Do" && o.got.v != 0 && (!ok || o.ret < at) {
			first[o.got.v] = o.ret
		}
	}
	for i := range ops {
		if o := &ops[i]; o.name == "Load" || o.name == "Run" {
			at, ok := first[o.arg(1)]
			if o.ret = at; !ok {
				o.still, o.ret = o.call, math.MaxInt32
			}
		}
	}
	return ops
}
