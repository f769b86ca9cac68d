package vigildebug

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Registry holds the things that are watched. The zero value is ready to use.
// It must not be copied after first use.
type Registry struct {
	mu      sync.Mutex
	entries []*entry // guarded by mu
}

var std Registry

// Default is the registry that things go to that are not registered [In]
// another one.
func Default() *Registry { return &std }

// An Option changes how a thing is registered.
type Option func(*config)

type config struct {
	registry *Registry
	showKeys bool
}

// In registers with r instead of the default registry. A nil r panics.
func In(r *Registry) Option {
	if r == nil {
		panic("vigildebug: In of a nil Registry")
	}
	return func(c *config) { c.registry = r }
}

// ShowKeys shows the thing's keys instead of their hashes, as fmt.Sprint prints
// them and cut off after 128 bytes. So their String methods run, and what they
// point to is read, with nothing held: not for pointers to what may change.
func ShowKeys() Option { return func(c *config) { c.showKeys = true } }

// A reading is what a thing says of itself at one moment.
type reading struct {
	metrics Metrics
	waits   []Wait
	more    int
}

// An entry is a registered thing.
type entry struct {
	kind, name string
	read       func() reading

	mu   sync.Mutex
	past past // guarded by mu
}

// watch registers thing, which read reads, until the function that it returns
// is called. Nothing here holds thing any more then, not even that function.
func watch[T any](kind, name string, thing *T, opts []Option, read func(thing *T, showKeys bool) reading) (unregister func()) {
	if thing == nil {
		panic("vigildebug: nil " + kind)
	}
	c := config{registry: &std}
	for _, o := range opts {
		o(&c)
	}
	e := &entry{
		kind: kind,
		name: valid(name),
		read: func() reading { return read(thing, c.showKeys) },
	}
	c.registry.add(e)
	return sync.OnceFunc(func() { c.registry.remove(e) })
}

// add takes e in. If its name is taken by one of its kind it gets a number.
func (r *Registry) add(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := func(name string) bool {
		return slices.ContainsFunc(r.entries, func(o *entry) bool { return o.kind == e.kind && o.name == name })
	}
	name := e.name
	for i := 2; taken(e.name); i++ {
		e.name = name + "#" + strconv.Itoa(i)
	}
	r.entries = append(r.entries, e)
}

func (r *Registry) remove(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = slices.DeleteFunc(r.entries, func(o *entry) bool { return o == e })
}

// Snapshot reads everything that is registered, and keeps the numbers as a
// sample for the history.
func (r *Registry) Snapshot() Snapshot {
	r.mu.Lock()
	entries := slices.Clone(r.entries)
	r.mu.Unlock()
	slices.SortFunc(entries, func(a, b *entry) int {
		return cmp.Or(slices.Index(kinds, a.kind)-slices.Index(kinds, b.kind), cmp.Compare(a.name, b.name))
	})
	s := Snapshot{Time: time.Now(), Things: make([]Thing, len(entries))}
	each(len(entries), func(i int) { s.Things[i] = entries[i].snapshot() }, func(i int, why string) {
		s.Things[i] = entries[i].unread(why)
	})
	return s
}

func (e *entry) snapshot() Thing {
	got := e.read()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past.add(time.Now(), got.metrics)
	return Thing{
		Kind: e.kind, Name: e.name, Metrics: got.metrics,
		Waits: append([]Wait{}, got.waits...), MoreWaits: got.more, // [] in JSON, not null
		History: e.past.history(got.metrics),
	}
}

// unread is the snapshot of a thing that could not be read.
func (e *entry) unread(why string) Thing {
	return Thing{
		Kind: e.kind, Name: e.name, Error: "reading it " + why,
		Metrics: Metrics{}, Waits: []Wait{}, History: past(nil).history(nil),
	}
}
