// Package vigilvar publishes what vigildebug sees as a variable of expvar.
//
// It is a package of its own because to import expvar is to serve /debug/vars on
// http.DefaultServeMux.
package vigilvar

import (
	"encoding/json"
	"expvar"
	"fmt"
	"sync"

	"github.com/vigil-go/vigil/vigildebug"
)

// A variable shows a registry's Snapshot, as vigildebug's page does in JSON.
type variable struct{ registry *vigildebug.Registry }

func (v variable) String() string {
	text, err := json.Marshal(v.registry.Snapshot())
	if err != nil {
		text, _ = json.Marshal(err.Error())
	}
	return string(text)
}

// publishing keeps two Publish from finding the same name free.
var publishing sync.Mutex

// Publish makes r's snapshots the variable of that name; nil stands for the
// default registry. To publish r again under its name does nothing. If the name
// belongs to something else, the error says so; expvar's own Publish would end
// the process. A variable cannot be taken back, and keeps r alive.
func Publish(name string, r *vigildebug.Registry) error {
	if r == nil {
		r = vigildebug.Default()
	}
	publishing.Lock()
	defer publishing.Unlock()
	switch old := expvar.Get(name).(type) {
	case nil:
		expvar.Publish(name, variable{r})
	case variable:
		if old.registry == r {
			return nil
		}
		return fmt.Errorf("vigilvar: %q is another registry's", name)
	default:
		return fmt.Errorf("vigilvar: %q is another variable's, a %T", name, old)
	}
	return nil
}
