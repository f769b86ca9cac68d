package uringwake_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if any test left a goroutine behind. It skips the examples that
// need what the kernel does not have, since they cannot skip themselves.
func TestMain(m *testing.M) {
	flag.Parse()
	var skip []string
	leaveOut := func(examples string, why error) {
		if why != nil {
			fmt.Println("no", examples+":", why)
			skip = append(skip, examples)
		}
	}
	leaveOut("^Example", haveRing())
	leaveOut("^ExampleNewMsgRing$", haveMessages())
	leaveOut("^ExampleFutexWait$", haveFutexes())
	if len(skip) > 0 {
		flag.Set("test.skip", strings.Join(skip, "|"))
	}
	goleak.VerifyTestMain(m)
}
