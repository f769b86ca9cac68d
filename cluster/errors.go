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

	// ErrLeaseLost is matched by the cause with which the context of a load ends when its lease
	// has ended, and that of the holder of a [Mutex] or of a [Permit]: another machine may have it
	// now. It is also matched by the error of a call that has lost five leases before they were of
	// use, as when the engine takes longer than the TTL for each write.
	ErrLeaseLost = errors.New("cluster: the lease has ended")
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
