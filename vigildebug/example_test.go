package vigildebug_test

import (
	"fmt"
	"net/http"

	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitmap"
)

// Serve the page on a listener of its own, which only operators reach.
func ExampleHandler() {
	answers := new(waitmap.Map[string, int])
	defer vigildebug.Map("answers", answers)()

	private := http.NewServeMux()
	private.Handle("/debug/vigil/", vigildebug.Handler())
	// go http.ListenAndServe("localhost:6060", private)
}

// See from within the program who waits.
func ExampleRegistry_Snapshot() {
	var r vigildebug.Registry
	answers := new(waitmap.Map[string, int])
	defer vigildebug.Map("answers", answers, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer answers.Register("the question", nil).Stop()

	for _, thing := range r.Snapshot().Things {
		for _, w := range thing.Waits {
			fmt.Printf("%s %s: %d waits for %q\n", thing.Kind, thing.Name, w.Waiters, w.Key)
		}
	}
	// Output: map answers: 1 waits for "the question"
}
