package etcdengine_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestMain runs no examples where there is no etcd, because these cannot be skipped.
func TestMain(m *testing.M) {
	flag.Parse()
	if run := flag.Lookup("test.run"); binary() == "" && run.Value.String() == "" {
		fmt.Fprintln(os.Stderr, "no examples: "+missing)
		_ = run.Value.Set("^(Test|Fuzz)")
	}
	testkit.Main(m)
}
