package linear_test

import (
	"slices"
	"strings"
)

// mapState is a Map's state of one key.
type mapState struct {
	has    bool
	v      int
	last   int    // the last stored value, even if a taker got it
	line   string // the numbers of the waiters in line
	served string // the numbers of the waiters that were served and have not returned, sorted
	watch  string // the numbers of the calls of WaitFor and WaitCompute, sorted, each with its flags
	closed bool   // new waiters are no longer let in line

	pockets [maxClients]int // by client, what a Take that died was handed
}

const maxClients = 8

// Flags of a watcher: what happened since it was in line.
const (
	sawStore byte = 1 << iota
	sawCancel
)

// mapSpec is the model of a Map, for each key. Names with arguments after the key:
// Store v, Swap v, LoadOrStore v, CompareAndSwap old new, CompareAndDelete old,
// Compute and WaitCompute op new (their result is what their function saw), WaitFor
// (for an even value).
var mapSpec = &spec{
	init:      mapState{},
	partition: func(o *op) int { return o.arg(0) },
	parts:     mapParts,
	step: func(state any, s step, calls []*op) (any, bool) {
		return state.(mapState).step(s, calls)
	},
}

var mapWaits = []string{"Wait", "WaitNext", "Take", "Register"}

func isWatch(name string) bool { return name == "WaitFor" || name == "WaitCompute" }

// mapParts: a wait that failed and was not known to be in line may have been there
// for an instant only. A Take that failed need not have been in line at all, nor a
// WaitNext, which says nothing about its key. Register is in line even if its
// context has ended. Close first keeps new waiters out and then releases those in
// line.
func mapParts(o *op) []part {
	failed := o.got.err == errContext && o.parked == 0
	switch {
	case o.got.valued():
		return []part{whole}
	case isWatch(o.name), o.name == "Close", o.name == "Register":
		return []part{enter, leave}
	case !slices.Contains(mapWaits, o.name):
		return []part{whole}
	case !failed:
		return []part{enter, leave}
	case o.name == "Wait":
		return []part{whole}
	default:
		return nil
	}
}

func (s mapState) step(e step, calls []*op) (mapState, bool) {
	if e.got.valued() {
		return s, false
	}
	switch e.part {
	case enter:
		return s.enter(e)
	case leave:
		return s.leave(e, calls)
	}
	switch e.name {
	case "Compute":
		return s.compute(e, calls)
	case "Cancel", "CancelCause", "CancelAll":
		return s.cancel(e, calls)
	case "Load", "Range":
		return s, s.saw(e.got)
	case "Wait": // failed
		return s, !s.has && !s.closed
	case "Clear":
		return s.gone(), true
	case "Delete":
		return s.gone(), true
	case "LoadAndDelete":
		return s.gone(), s.saw(e.got)
	default:
		return s.write(e, calls)
	}
}

// write applies a call that stores, with or without a condition.
func (s mapState) write(e step, calls []*op) (mapState, bool) {
	equal := s.has && s.v == e.arg(1)
	switch e.name {
	case "Store":
		return s.publish(e.arg(1), calls)
	case "Swap":
		next, ok := s.publish(e.arg(1), calls)
		return next, ok && s.saw(e.got)
	case "LoadOrStore", "LoadOrCompute":
		if e.got.err == errOwn {
			return s, !s.has
		}
		if e.got.ok {
			return s, s.saw(e.got)
		}
		next, ok := s.publish(e.arg(1), calls)
		return next, ok && !s.has && e.got.v == e.arg(1)
	case "CompareAndSwap":
		if !e.got.ok || !equal {
			return s, e.got.ok == equal
		}
		return s.publish(e.arg(2), calls)
	case "CompareAndDelete":
		if equal {
			s = s.gone()
		}
		return s, e.got.ok == equal
	}
	panic("linear_test: the model of a Map does not know " + e.name)
}

// saw reports whether a look at the key returns r, which has no value if the key is
// absent.
func (s mapState) saw(r result) bool {
	return r.err == "" && r.ok == s.has && r.v == s.v
}

// valued reports whether a call failed and returned a value.
func (r result) valued() bool { return r.err != "" && r.v != 0 }

func (s mapState) gone() mapState {
	s.has, s.v = false, 0
	return s
}

// compute applies what a function that saw e.got returned.
func (s mapState) compute(e step, calls []*op) (mapState, bool) {
	if !s.saw(e.got) {
		return s, false
	}
	switch e.arg(1) {
	case opSet:
		return s.publish(e.arg(2), calls)
	case opRemove:
		return s.gone(), true
	default:
		return s, true
	}
}

// publish delivers v to the first taker in line, or else stores it, and to all
// other waiters. A waiter that it serves must have returned v.
func (s mapState) publish(v int, calls []*op) (mapState, bool) {
	var stay []byte
	taken := false
	for _, id := range []byte(s.line) {
		if calls[id].name == "Take" && taken {
			stay = append(stay, id)
			continue
		}
		took := calls[id].name == "Take"
		taken = taken || took
		switch got := calls[id].got; {
		case got.err == errDied && took:
			s.pockets[calls[id].client] = v
		case got.err != errDied && (got.err != "" || got.v != v):
			return s, false
		}
		s.served = insert(s.served, id)
	}
	s.line, s.last, s.watch = string(stay), v, flagged(s.watch, sawStore)
	if !taken {
		s.has, s.v = true, v
	}
	return s, true
}

// cancel releases all waiters in line. Only the Map knows whether a watcher is in
// line at the moment: even one that has its value may still be, to look at it.
// CancelAll does not return the number of each key.
func (s mapState) cancel(e step, calls []*op) (mapState, bool) {
	least, most := len(s.line), len(s.line)+watchers(calls, e.op)
	s, ok := s.release(errCanceled, calls)
	s.watch = flagged(s.watch, sawCancel)
	return s, ok && (e.name == "CancelAll" || least <= e.got.v && e.got.v <= most)
}

// release releases all waiters in line with that error.
func (s mapState) release(err string, calls []*op) (mapState, bool) {
	for _, id := range []byte(s.line) {
		if got := calls[id].got; got.err != err && got.err != errDied {
			return s, false
		}
		s.served = insert(s.served, id)
	}
	s.line = ""
	return s, true
}

// watchers counts the watches that overlap o.
func watchers(calls []*op, o *op) (n int) {
	for _, c := range calls {
		if c != nil && isWatch(c.name) && c.call < o.ret && o.call < c.ret {
			n++
		}
	}
	return n
}

func (s mapState) enter(e step) (mapState, bool) {
	switch {
	case e.name == "Close":
		s.closed = true
		return s, true
	case isWatch(e.name):
		s.watch = insertFlagged(s.watch, e.id)
		return s, true
	case s.has && e.name != "WaitNext":
		if e.got.err != "" || e.got.v != s.v {
			return s, false
		}
		s.served = insert(s.served, e.id)
		if e.name == "Take" {
			s = s.gone()
		}
		return s, true
	case s.closed:
		s.served = insert(s.served, e.id)
		return s, e.got.err == errClosed
	default:
		s.line += string([]byte{e.id})
		return s, true
	}
}

func (s mapState) leave(e step, calls []*op) (next mapState, ok bool) {
	if e.name == "Close" {
		return s.release(errClosed, calls)
	}
	if isWatch(e.name) {
		return s.unwatch(e, calls)
	}
	switch e.got.err {
	case errContext: // the call must still be in line
		s.line, ok = remove(s.line, e.id)
	case errDied:
		return s.die(e, calls)
	default:
		s.served, ok = remove(s.served, e.id)
	}
	return s, ok
}

// die applies a wait that did not return, which consumes nothing. A value that it
// was handed is stored again unless a newer one is there.
func (s mapState) die(e step, calls []*op) (_ mapState, ok bool) {
	if s.line, ok = remove(s.line, e.id); ok {
		return s, true
	}
	s.served, ok = remove(s.served, e.id)
	v := s.pockets[e.client]
	s.pockets[e.client] = 0
	if !ok || v == 0 || s.has {
		return s, ok
	}
	return s.publish(v, calls)
}

// unwatch is the end of a WaitFor or a WaitCompute. They look at the key again
// after each wake, so they may miss a value that was overwritten. WaitCompute may
// also miss one that was deleted soon; WaitFor does not.
func (s mapState) unwatch(e step, calls []*op) (mapState, bool) {
	i := pairOf(s.watch, e.id)
	if i < 0 {
		return s, false
	}
	flags := s.watch[i+1]
	s.watch = s.watch[:i] + s.watch[i+2:]
	good := s.has && (e.name == "WaitCompute" || even(s.v))
	if e.name == "WaitFor" && flags&sawStore != 0 && even(s.last) {
		good = true // even if it was deleted or taken since
	}
	switch {
	case e.got.err == errDied:
		return s, true
	case e.got.err == errContext:
		return s, !good || e.name == "WaitCompute" && someComputed(calls, e.op)
	case e.got.err == errCanceled:
		return s, flags&sawCancel != 0 && !good
	case e.got.err == errClosed:
		return s, s.closed && !good
	case e.got.err != "":
		return s, false
	case e.name == "WaitCompute":
		return s.compute(e, calls)
	}
	here, handed := s.has && s.v == e.got.v, flags&sawStore != 0 && s.last == e.got.v
	return s, even(e.got.v) && (here || handed)
}

// someComputed reports whether a computation may have blocked a WaitCompute until
// its context ended.
func someComputed(calls []*op, o *op) bool {
	for _, c := range calls {
		if c != nil && c != o && strings.HasSuffix(c.name, "Compute") && c.call < o.ret && max(o.call, o.still) < c.ret {
			return true
		}
	}
	return false
}

func even(v int) bool { return v%2 == 0 }

// Sets of numbers are sorted strings, so that equal states are ==.

func insert(set string, id byte) string {
	i := 0
	for i < len(set) && set[i] < id {
		i++
	}
	return set[:i] + string([]byte{id}) + set[i:]
}

func remove(set string, id byte) (string, bool) {
	i := strings.IndexByte(set, id)
	if i < 0 {
		return set, false
	}
	return set[:i] + set[i+1:], true
}

// Sets of numbers with a byte of flags each.

func pairOf(set string, id byte) int {
	for i := 0; i < len(set); i += 2 {
		if set[i] == id {
			return i
		}
	}
	return -1
}

func insertFlagged(set string, id byte) string {
	i := 0
	for i < len(set) && set[i] < id {
		i += 2
	}
	return set[:i] + string([]byte{id, 0}) + set[i:]
}

// flagged sets flags on all members.
func flagged(set string, flags byte) string {
	b := []byte(set)
	for i := 1; i < len(b); i += 2 {
		b[i] |= flags
	}
	return string(b)
}
