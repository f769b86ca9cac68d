package cluster

import (
	"context"
	"errors"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/waitmap"
)

var (
	// ErrClosed is matched by the errors of a closed [Bucket] or [Map]. It is that of
	// package waitmap.
	ErrClosed = waitmap.ErrClosed

	// ErrCanceled is matched by the error of a wait that [Map.Cancel] or
	// [Map.CancelEverywhere] ended. It is that of package waitmap.
	ErrCanceled = waitmap.ErrCanceled

	// ErrUnknown is matched by the error of a write that may have been applied.
	ErrUnknown = engine.ErrUnknown

	// ErrDecode is matched by the error of a call that found a value that the Codec cannot
	// decode.
	ErrDecode = errors.New("cluster: the value cannot be decoded")
)

// asClosed makes the error of a closed engine one that matches ErrClosed.
func asClosed(err error) error {
	if errors.Is(err, engine.ErrClosed) && !errors.Is(err, ErrClosed) {
		return errors.Join(ErrClosed, err)
	}
	return err
}

func mustContext(ctx context.Context) {
	if ctx == nil {
		panic("cluster: nil context")
	}
}
