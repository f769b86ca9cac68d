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
	Kind      string  `json:"kind"` // map, group, cache, notify, waitgroup, mutex, rwmutex, semaphore, queue or loop
	Name      string  `json:"name"` // unique among the objects of a kind
	Metrics   Metrics `json:"metrics"`
	Waits     []Wait  `json:"waits"`      // the oldest first, at most 100
	MoreWaits int     `json:"more_waits"` // the number of keys that Waits leaves out
	History   History `json:"history"`

	// Holder is the holder of a Mutex. It is nil if the Mutex is not locked or does not
	// record its holders, and for all other kinds.
	Holder *Holder `json:"holder,omitempty"`

	// Error says why the object could not be read: one of its methods panicked or
	// called runtime.Goexit. Metrics, Waits and History are empty then. An empty
	// Error means that the object was read.
	Error string `json:"error,omitempty"`
}

// A Wait describes the waiters of a key, or a load in flight.
type Wait struct {
	Key     string    `json:"key"`     // the hash of the key, or with [ShowKeys] its text
	Waiters int       `json:"waiters"` // zero for a load that refreshes in the background
	Since   time.Time `json:"since"`   // when the oldest waiter came, or the load started
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
