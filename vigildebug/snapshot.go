package vigildebug

import (
	"encoding/json"
	"time"
)

// A Snapshot is what a [Registry] saw. The package's documentation has the names
// that its fields have in JSON.
type Snapshot struct {
	Time   time.Time `json:"time"`
	Things []Thing   `json:"things"` // those of a kind together, by name
}

// A Thing is one of those that are registered.
type Thing struct {
	Kind      string  `json:"kind"` // map, group, cache, notify, waitgroup or loop
	Name      string  `json:"name"` // unique among those of its kind
	Metrics   Metrics `json:"metrics"`
	Waits     []Wait  `json:"waits"`      // the oldest first, at most 100
	MoreWaits int     `json:"more_waits"` // how many keys Waits leaves out
	History   History `json:"history"`

	// Error says why the thing could not be read, as one of its methods
	// panicked or called runtime.Goexit. The rest is empty then.
	Error string `json:"error,omitempty"`
}

// A Wait tells who waits for a key.
type Wait struct {
	Key     string    `json:"key"`     // its hash, or with [ShowKeys] its text
	Waiters int       `json:"waiters"` // of a load: 0 if it refreshes in the background
	Since   time.Time `json:"since"`   // when the oldest waiter came, or the load started
}

// A Metric is one number of a thing.
type Metric struct {
	Name    string // lower case, with underscores; seconds are named
	Help    string // one sentence
	Counter bool   // it only grows; else it is a gauge
	Value   float64
}

// Metrics are a thing's numbers: the same ones in the same order for all things
// of a kind. In JSON they are an object, from name to value.
type Metrics []Metric

// MarshalJSON writes the object.
func (m Metrics) MarshalJSON() ([]byte, error) {
	values := make(map[string]float64, len(m))
	for _, metric := range m {
		values[metric.Name] = metric.Value
	}
	return json.Marshal(values)
}

// History has the metrics' earlier values, the oldest first.
type History struct {
	Times  []time.Time          `json:"times"`
	Values map[string][]float64 `json:"values"` // by metric, each as long as Times
}
