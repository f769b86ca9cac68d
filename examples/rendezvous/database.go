package main

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/vigil-go/vigil/waitmap"
)

// A database maps keys to strings and lists.
//
// Each change is one Compute of its key, so it is atomic, and changes of other keys go on
// meanwhile, on all loops. What is read of a string is a Load, which takes no lock.
type database struct {
	values waitmap.Map[string, *value]
	lines  waitmap.Map[string, *line]   // who waits for an element of a list: see block.go
	served waitmap.Map[uint64, element] // what was handed over, by the number of the waiter
}

// A value is a string, which never changes, or a list, which only a Compute of its key may
// use. There is no empty list in a database.
type value struct {
	text    []byte
	list    *deque
	expires time.Time // zero: never
}

func (v *value) expired() bool { return !v.expires.IsZero() && !time.Now().Before(v.expires) }

// find returns the value of key. One that has expired is not there any more: whoever sees
// that deletes it, unless it was replaced meanwhile.
func (db *database) find(key string) (*value, bool) {
	v, ok := db.values.Load(key)
	if ok && v.expired() {
		waitmap.CompareAndDelete(&db.values, key, v)
		return nil, false
	}
	return v, ok
}

// change computes the value of key by f, which gets nil if there is none, and returns nil
// to delete it.
func (db *database) change(key string, f func(old *value) *value) {
	db.values.Compute(key, func(old *value, ok bool) (*value, waitmap.Op) {
		if ok && old.expired() {
			old = nil
		}
		switch v := f(old); {
		case v == nil && ok:
			return nil, waitmap.DeleteOp
		case v == nil || v == old:
			return old, waitmap.KeepOp
		default:
			return v, waitmap.StoreOp
		}
	})
}

// get returns the string of key.
func (db *database) get(key string) (text []byte, ok bool, err error) {
	v, ok := db.find(key)
	if ok && v.list != nil {
		return nil, false, errWrongType
	}
	if !ok {
		return nil, false, nil
	}
	return v.text, true, nil
}

// A condition of a set.
type condition int

const (
	always condition = iota
	ifAbsent
	ifPresent
)

// set stores v, and reports whether the condition allowed it.
func (db *database) set(key string, v *value, when condition) (stored bool) {
	if when == always {
		db.values.Store(key, v)
		return true
	}
	db.change(key, func(old *value) *value {
		if stored = (old != nil) == (when == ifPresent); stored {
			return v
		}
		return old
	})
	return stored
}

// remove deletes key and reports whether it was there.
func (db *database) remove(key string) bool {
	v, ok := db.values.LoadAndDelete(key)
	return ok && !v.expired()
}

// increment adds 1 to the number that key has as a string, 0 if it has none.
func (db *database) increment(key string) (n int64, err error) {
	db.change(key, func(old *value) *value {
		v := new(value)
		if old != nil {
			*v = *old
			if n, err = old.number(); err != nil {
				return old
			}
		}
		if n == math.MaxInt64 {
			err = errOverflow
			return old
		}
		n++
		v.text = strconv.AppendInt(nil, n, 10)
		return v
	})
	return n, err
}

func (v *value) number() (int64, error) {
	if v.list != nil {
		return 0, errWrongType
	}
	n, err := integerOf(v.text)
	if err == nil && !bytes.Equal(strconv.AppendInt(nil, n, 10), v.text) {
		err = errNoInteger // such as 007
	}
	return n, err
}

// withList calls f with the list of key, nil if there is none, and deletes the list that f
// leaves empty. Nothing else uses the list while f runs. f must not wait.
func (db *database) withList(key string, f func(*deque)) (err error) {
	db.change(key, func(old *value) *value {
		switch {
		case old == nil:
			f(nil)
			return nil
		case old.list == nil:
			err = errWrongType
			return old
		}
		if f(old.list); old.list.len() == 0 {
			return nil
		}
		return old
	})
	return err
}

// length is the number of elements of the list of key.
func (db *database) length(key string) (n int, err error) {
	err = db.withList(key, func(l *deque) {
		if l != nil {
			n = l.len()
		}
	})
	return n, err
}

// pop removes up to n elements from an end of the list of key. found is false if there is
// no list.
func (db *database) pop(key string, at end, n int) (items [][]byte, found bool, err error) {
	err = db.withList(key, func(l *deque) {
		if found = l != nil; !found {
			return
		}
		items = make([][]byte, 0, min(n, l.len()))
		for len(items) < cap(items) {
			items = append(items, l.pop(at))
		}
	})
	return items, found, err
}

// push adds items at an end of the list of key, one after the other, and returns the
// length of the list then. Those who wait for it are served after that, first come, first
// served, within the same change of the key; nobody else sees what they get.
func (db *database) push(key string, at end, items [][]byte) (n int, err error) {
	var handed []handover
	db.change(key, func(old *value) *value {
		v := old
		if v == nil {
			v = &value{list: new(deque)}
		} else if v.list == nil {
			err = errWrongType
			return old
		}
		for _, item := range items {
			v.list.push(at, item)
		}
		n = v.list.len()
		if handed = db.serve(key, v.list); v.list.len() == 0 {
			return nil
		}
		return v
	})
	for _, h := range handed { // with no key held: this wakes them
		db.served.Store(h.waiter, h.element)
	}
	return n, err
}
