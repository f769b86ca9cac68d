// Package vigilvar publishes the snapshots of a vigildebug.Registry as a variable of
// package expvar.
//
//	if err := vigilvar.Publish("vigil", nil); err != nil { // the default registry
//		return err
//	}
//
// The value of the variable is the JSON of package vigildebug. Each time that it is read,
// expvar takes a snapshot.
//
// This is a package of its own because importing expvar registers /debug/vars with
// http.DefaultServeMux.
package vigilvar

import (
	"encoding/json"
	"expvar"
	"fmt"
	"sync"

	"github.com/vigil-go/vigil/vigildebug"
)

// A variable is an expvar.Var whose value is a registry's Snapshot in JSON.
type variable struct{ registry *vigildebug.Registry }

func (v variable) String() string {
	text, err := json.Marshal(v.registry.Snapshot())
	if err != nil {
		text, _ = json.Marshal(err.Error())
	}
	return string(text)
}

// publishing keeps two calls of Publish from finding the same name unused.
var publishing sync.Mutex

// Publish publishes the snapshots of r as the expvar variable with this name. A nil r
// means the default registry. Publishing r again under the same name does nothing. If
// another variable has the name, Publish returns an error, where expvar.Publish would end
// the process. A variable cannot be removed, and it keeps r alive.
//
// Publish may be called from any goroutine.
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
