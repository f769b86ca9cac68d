package uringfs_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// TestMain skips the examples where there is no io_uring, since they cannot skip
// themselves. It does not ask uringwake.Supported, which remembers its answer: the rules
// of a child process are not in force yet.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := haveRing(); err != nil {
		fmt.Println("no examples:", err)
		flag.Set("test.skip", "^Example")
	}
	testkit.Main(m)
}

func haveRing() error {
	r, err := ring.Setup(1, nil)
	if err != nil {
		return err
	}
	return r.Close()
}
