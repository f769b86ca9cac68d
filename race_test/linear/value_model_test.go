package linear_test

// valueState is the state of a Value.
type valueState struct{ version, value int }

// valueUnit separates the version in a result from the value.
const valueUnit = 1 << 16

// seen is the result of a call that saw a version.
func (s valueState) seen() int { return s.version*valueUnit + s.value }

// valueSpec is the model of a Value. A wait takes effect when it returns: by a newer
// version than its argument, or by the end of its context, if there is none.
var valueSpec = &spec{
	init:      valueState{},
	partition: func(*op) int { return 0 },
	parts: func(o *op) []part {
		if o.name == "WaitNewer" {
			return []part{leave}
		}
		return []part{whole}
	},
	step: func(state any, s step, _ []*op) (any, bool) {
		return state.(valueState).step(s)
	},
}

func (s valueState) step(e step) (valueState, bool) {
	switch e.name {
	case "Store":
		s = valueState{s.version + 1, e.arg(0)}
		return s, e.got.v == s.version
	case "Update":
		s = valueState{s.version + 1, (s.value + e.arg(0)) % valueUnit}
		return s, e.got.v == s.seen()
	case "Die": // an Update whose function panics
		return s, true
	case "Load":
		return s, e.got.v == s.seen()
	case "WaitNewer":
		newer := s.version > e.arg(0)
		return s, newer && e.got == result{v: s.seen()} || !newer && e.got == result{err: errContext}
	}
	panic("linear_test: the model of a Value does not know " + e.name)
}
