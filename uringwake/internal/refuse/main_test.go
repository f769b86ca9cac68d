package refuse_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the run if any test left a goroutine behind, in a child too.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
