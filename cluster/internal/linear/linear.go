// Package linear has the model of a key of a cluster.Map, by which porcupine finds out whether
// calls of several processes could have been made one after the other. Tests use it.
package linear

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// An Input is a call of a key.
type Input struct {
	Key, Op string
	Value   int
	Old     uint64
}

// An Output is what a call returned.
type Output struct {
	Value    int
	Revision uint64
	OK       bool // stored, loaded, swapped, deleted or found
	Unknown  bool // it may have been applied
}

// An entry is the state of a key. The revision of what an unknown write stored is not
// known before somebody reads it.
type entry struct {
	there    bool
	value    int
	revision uint64 // zero: not known
}

func (e entry) has(revision uint64) bool {
	return e.there && (e.revision == 0 || e.revision == revision)
}

func (e entry) hasNot(revision uint64) bool {
	return !e.there || e.revision == 0 || e.revision != revision
}

// Model says what a key's calls may return, one after the other.
var Model = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(Input).Key
			byKey[key] = append(byKey[key], op)
		}
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{entry{}} },
	Step: func(state, in, out any) []any {
		s, i, o := state.(entry), in.(Input), out.(Output)
		if !o.Unknown {
			if next, ok := step(s, i, o); ok {
				return []any{next}
			}
			return nil
		}
		all := []any{s}
		if next, ok := step(s, i, Output{OK: i.Op != "loadOrStore", Value: i.Value}); ok {
			all = append(all, next)
		}
		return all
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}).ToModel()

func step(s entry, i Input, o Output) (next entry, possible bool) {
	stored := entry{true, i.Value, o.Revision}
	switch i.Op {
	case "store":
		return stored, true
	case "loadOrStore":
		if o.OK {
			return s, s.there && s.value == o.Value
		}
		return stored, !s.there && o.Value == i.Value
	case "swap":
		if o.OK {
			return stored, i.Old == 0 && !s.there || s.has(i.Old)
		}
		return s, i.Old == 0 && s.there || i.Old != 0 && s.hasNot(i.Old)
	case "compareAndDelete":
		if o.OK {
			return entry{}, s.has(i.Old)
		}
		return s, s.hasNot(i.Old)
	case "delete":
		return entry{}, true
	case "load":
		if !o.OK {
			return s, !s.there
		}
		return entry{true, o.Value, o.Revision}, s.has(o.Revision) && s.value == o.Value
	}
	panic(i.Op)
}
