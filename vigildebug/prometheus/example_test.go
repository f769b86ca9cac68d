package vigilprom_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vigil-go/vigil/vigildebug"
	vigilprom "github.com/vigil-go/vigil/vigildebug/prometheus"
	"github.com/vigil-go/vigil/waitmap"
)

// Give Prometheus what is registered. Programs that serve metrics already need
// no more than the first line, with nil for the default registry.
func ExampleNewCollector() {
	var things vigildebug.Registry
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(vigilprom.NewCollector(&things))

	answers := new(waitmap.Map[string, int])
	defer vigildebug.Map("answers", answers, vigildebug.In(&things))()
	defer answers.Register("the question", nil).Stop()

	families, err := metrics.Gather()
	if err != nil {
		panic(err)
	}
	for _, family := range families {
		if family.GetName() == "vigil_map_waiters" {
			fmt.Println(family.GetMetric()[0].GetGauge().GetValue())
		}
	}
	// Output: 1
}
