package uringwake_test

import (
	"flag"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/uringwake"
)

// TestMain fails the run if any test left a goroutine behind. Where io_uring is
// refused the examples are left out: they cannot skip themselves.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := uringwake.Supported(); err != nil {
		fmt.Println("no examples:", err)
		flag.Set("test.skip", "^Example")
	}
	goleak.VerifyTestMain(m)
}
