package waitq_test

import (
	"context"
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// nilCtx is nil. Passed as an argument by this name, it does not trouble staticcheck.
var nilCtx context.Context
