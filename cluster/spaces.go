package cluster

import (
	"errors"
	"fmt"
	"strings"
)

// A key of the engine is that of a space, followed by the key in the space. The key of a
// space is a byte for its kind, a name, and NUL.
const (
	kindMap       = 'm' // the values of a Map
	kindGroup     = 'g' // the records of a Group
	kindCache     = 'k' // the records of a Cache
	kindMutex     = 'l' // the lease of a Mutex, with the empty key
	kindSemaphore = 's' // the leases of a Semaphore's permits, by number
	kindNotify    = 'n' // the permits of a Notify, and its last call of NotifyWaiters
	kindCancel    = 'c' // a put ends the waits for a key of the Map of that name
)

var kindNames = map[byte]string{
	kindMap: "Map", kindGroup: "Group", kindCache: "Cache", kindMutex: "Mutex", kindSemaphore: "Semaphore", kindNotify: "Notify",
}

// split returns the parts of an engine's key. The kind is zero if it has no such parts.
func split(full string) (kind byte, prefix, key string) {
	i := strings.IndexByte(full, 0)
	if i < 1 {
		return 0, "", ""
	}
	return full[0], full[:i+1], full[i+1:]
}

// nameOf returns the name in the key of a space.
func nameOf(prefix string) string { return prefix[1 : len(prefix)-1] }

// attach makes s the user of a space, and returns what is there.
func (b *Bucket) attach(kind byte, name string, s sink) (prefix string, there map[string]change, err error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", nil, errors.New("cluster: the name contains NUL")
	}
	prefix = string(kind) + name + "\x00"
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return "", nil, ErrClosed
	}
	sp := b.spaces[prefix]
	if sp == nil {
		sp = new(space)
		b.spaces[prefix] = sp
	}
	if sp.sink != nil {
		return "", nil, fmt.Errorf("cluster: the Bucket has a %s %q already", kindNames[kind], name)
	}
	there, sp.sink, sp.raw = sp.raw, s, nil
	return prefix, there, nil
}

// detach undoes attach. missed returns the changes since then. Changes that come later are kept.
func (b *Bucket) detach(prefix string, there map[string]change, missed func() []change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.spaces[prefix]
	s.sink, s.raw = nil, there
	if s.raw == nil {
		s.raw = make(map[string]change)
	}
	for _, c := range missed() {
		s.keep(c)
	}
}
