package vigildebug

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Registry is a set of registered objects, with samples of their metrics. The zero
// value is empty and ready to use. A Registry must not be copied after first use.
type Registry struct {
	mu      sync.Mutex
	entries []*entry // guarded by mu
}

var std Registry

// Default returns the registry for objects that are registered without the option [In].
func Default() *Registry { return &std }

// An Option changes how an object is registered.
type Option func(*config)

type config struct {
	registry *Registry
	showKeys bool
}

// In returns an Option that registers the object with r instead of the default registry.
// A nil r panics.
func In(r *Registry) Option {
	if r == nil {
		panic("vigildebug: In of a nil Registry")
	}
	return func(c *config) { c.registry = r }
}

// ShowKeys returns an Option that shows the object's keys instead of their hashes, as
// fmt.Sprint formats them, up to 128 bytes. So a Snapshot calls the keys' String methods
// and may read what the keys point to, with no lock held. Do not use it if the keys point
// to memory that other goroutines change.
func ShowKeys() Option { return func(c *config) { c.showKeys = true } }

// A reading is the metrics and the waits of an object at one moment.
type reading struct {
	metrics Metrics
	waits   []Wait
	more    int
	holder  *Holder // nil if it is not known

	// Of objects of other packages.
	facts      Facts
	charts     []chart
	leases     []Lease
	moreLeases int
}

// An entry is a registered object.
type entry struct {
	kind, name string
	read       func() reading

	mu   sync.Mutex
	past past // guarded by mu
}

// watch registers thing, which read reads, until unregister is called. After that the
// package does not refer to thing any more, and neither does unregister.
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

// add adds e. If another entry of its kind has its name, add appends a number to the name.
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

// Snapshot reads all registered objects, and keeps their metrics as a sample for the
// history.
func (r *Registry) Snapshot() Snapshot {
	r.mu.Lock()
	entries := slices.Clone(r.entries)
	r.mu.Unlock()
	slices.SortFunc(entries, func(a, b *entry) int {
		return cmp.Or(order(a.kind)-order(b.kind), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	s := Snapshot{Time: time.Now(), Things: make([]Thing, len(entries))}
	each(len(entries), func(i int) { s.Things[i] = entries[i].snapshot() }, func(i int, why string) {
		s.Things[i] = entries[i].unread(why)
	})
	return s
}

// order returns where a kind is shown. Those of other packages come last.
func order(kind string) int {
	if i := slices.Index(kinds, kind); i >= 0 {
		return i
	}
	return len(kinds)
}

func (e *entry) snapshot() Thing {
	got := e.read()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.past.add(time.Now(), got.metrics)
	return Thing{
		Kind: e.kind, Name: e.name, Metrics: got.metrics,
		Waits: append([]Wait{}, got.waits...), MoreWaits: got.more, // [] in JSON, not null
		Holder:  got.holder,
		History: e.past.history(got.metrics),
		Facts:   got.facts, Leases: got.leases, MoreLeases: got.moreLeases, charts: append(charts[e.kind], got.charts...),
	}
}

// unread returns the Thing of an object that could not be read.
func (e *entry) unread(why string) Thing {
	return Thing{
		Kind: e.kind, Name: e.name, Error: "reading it " + why,
		Metrics: Metrics{}, Waits: []Wait{}, History: past(nil).history(nil),
	}
}
