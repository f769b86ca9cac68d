package uringfs

import (
	"context"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// current returns the context of the task that calls it, or else context.Background().
// Methods without a context use it.
func current() context.Context { return bridge.Current() }
