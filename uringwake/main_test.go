package uringwake_test

import (
	"flag"
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if any test left a goroutine behind. Where there is no
// io_uring the examples are left out: they cannot skip themselves.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := haveRing(); err != nil {
		fmt.Println("no examples:", err)
		flag.Set("test.skip", "^Example")
	}
	goleak.VerifyTestMain(m)
}
