package uringnet_test

import (
	"testing"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }
