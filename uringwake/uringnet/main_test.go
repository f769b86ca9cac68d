package uringnet_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

// TestMain fails the run if any test left a goroutine behind. It skips the examples where
// there is no ring, since they cannot skip themselves.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := uringwake.Supported(); err != nil {
		fmt.Println("no examples:", err)
		flag.Set("test.skip", "^Example")
	}
	testkit.Main(m)
}
