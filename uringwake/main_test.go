package uringwake_test

import (
	"flag"
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if any test left a goroutine behind. What the kernel has
// not got for an example leaves that out: it cannot skip itself.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := haveRing(); err != nil {
		leaveOut("^Example", err)
	} else if err := haveMessages(); err != nil {
		leaveOut("^ExampleNewMsgRing$", err)
	}
	goleak.VerifyTestMain(m)
}

func leaveOut(examples string, why error) {
	fmt.Println("no", examples+":", why)
	flag.Set("test.skip", examples)
}
