package vigildebug

import (
	"encoding/json"
	"time"
)

// A Snapshot is the state of all objects of a [Registry]. The package documentation
// describes its fields in JSON.
type Snapshot struct {
	Time   time.Time `json:"time"`
	Things []Thing   `json:"things"` // grouped by kind, sorted by name
}

// A Thing is the state of a registered object.
type Thing struct {
	Kind      string  `json:"kind"` // map, group, cache, notify, waitgroup, mutex, rwmutex, semaphore, queue, loop, or one of [Register]
	Name      string  `json:"name"` // unique among the objects of a kind
	Metrics   Metrics `json:"metrics"`
	Waits     []Wait  `json:"waits"`      // the oldest first, at most 100
	MoreWaits int     `json:"more_waits"` // the number of keys that Waits leaves out
	History   History `json:"history"`

	// Holder is the holder of a Mutex. It is nil if the Mutex is not locked or does not
	// record its holders, and for all other kinds.
	Holder *Holder `json:"holder,omitempty"`

	// Facts and Leases are what [Register] adds to that.
	Facts      Facts   `json:"facts,omitempty"`
	Leases     []Lease `json:"leases,omitempty"`      // the oldest first, at most 100
	MoreLeases int     `json:"more_leases,omitempty"` // the number of leases that Leases leaves out

	charts []chart

	// Error says why the object could not be read: one of its methods panicked or
	// called runtime.Goexit. All but Kind and Name is empty then. An empty
	// Error means that the object was read.
	Error string `json:"error,omitempty"`
}

// A Wait describes the waiters of a key, or a load in flight.
type Wait struct {
	In      string `json:"in,omitempty"` // the part of the object that has the key, if it has parts
	Key     string `json:"key"`          // the hash of the key, or with [ShowKeys] its text
	Waiters int    `json:"waiters"`      // zero for a load that refreshes in the background

	// Since is when the oldest waiter came, or the load started. It is the zero time if that
	// is not known.
	Since time.Time `json:"since"`
}

// A Lease is the right of one process to do something for some time.
type Lease struct {
	In     string `json:"in,omitempty"` // the part of the object that has the key, if it has parts
	Key    string `json:"key"`          // the hash of the key, or with [ShowKeys] its text
	Holder string `json:"holder"`
	Ours   bool   `json:"ours"`  // this process has it
	Fence  uint64 `json:"fence"` // larger than those of all holders before

	// Since is when the lease was seen first. It is the zero time if that is not known.
	Since time.Time `json:"since"`
}

// A Fact is a text that describes an object.
type Fact struct{ Name, Text string }

// Facts are the facts about an object.
type Facts []Fact

// MarshalJSON returns a JSON object, from the name of each fact to its text.
func (f Facts) MarshalJSON() ([]byte, error) {
	texts := make(map[string]string, len(f))
	for _, fact := range f {
		texts[fact.Name] = fact.Text
	}
	return json.Marshal(texts)
}

// A Holder is the holder of a Mutex, and where it got it. Func is empty if that is not known.
type Holder struct {
	Func  string    `json:"func"`
	File  string    `json:"file"` // without its folders
	Line  int       `json:"line"`
	Since time.Time `json:"since"`
}

// A Metric is a number that describes an object.
type Metric struct {
	Name    string // lower case, with underscores; ends with _seconds if Value is a duration
	Help    string // one sentence that explains Value
	Counter bool   // Value only grows; otherwise it is a gauge
	Value   float64
}

// Metrics are the metrics of an object: the same ones in the same order for all objects
// of a kind.
type Metrics []Metric

// MarshalJSON returns a JSON object, from the name of each metric to its value.
func (m Metrics) MarshalJSON() ([]byte, error) {
	values := make(map[string]float64, len(m))
	for _, metric := range m {
		values[metric.Name] = metric.Value
	}
	return json.Marshal(values)
}

// A History is the samples of an object's metrics, the oldest first.
type History struct {
	Times  []time.Time          `json:"times"`
	Values map[string][]float64 `json:"values"` // by the metric's name; each slice is as long as Times
}
