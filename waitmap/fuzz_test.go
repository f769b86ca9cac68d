package waitmap_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
)

// FuzzMap drives a map and its reference by the same script; the first byte
// chooses the construction.
func FuzzMap(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x0c\x00\x00\x00"))                 // wait, store
	f.Add([]byte("\x03\x10\x00\x10\x00\x80\x00\x00\x00")) // two takers, two stores in a hurry
	f.Add([]byte("\x05\x0c\x01\x98\x01\x92\x01\x00\x01")) // wait, cancel, register, store: the stale slot
	f.Add([]byte("\x07\x0e\x05\x00\x01\x0f\x02\x00\x02")) // WaitFor, WaitCompute
	f.Add([]byte("\x01\x12\x03\x15\x00\x16\x00\x14\x00")) // register, wait on it, end, stop
	f.Add([]byte("\x02\x12\x00\x10\x00\x1b\x00\x10\x00")) // close
	f.Add([]byte("\x09\x00\x00\x1f\x00\x08\x00"))         // Load, and Delete meanwhile
	constructions := constructions[int, int]()
	names := slices.Sorted(maps.Keys(constructions))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		newMap := constructions[names[int(data[0])%len(names)]]
		script := data[1:min(len(data), 1000)]
		synctest.Test(t, func(t *testing.T) { runScript(t, newMap(), script) })
	})
}
