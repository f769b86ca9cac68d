package cluster

import (
	"context"
	"sync/atomic"
)

// A holding is one time of holding a Mutex, or a permit of a Semaphore.
type holding struct {
	*lease
	ctx  context.Context // ends when it is not held any more
	stop func()          // ends the renewals
}

// hold keeps a lease that was acquired until giveBack.
func (l *lease) hold() *holding {
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := l.keep(cancel)
	return &holding{l, ctx, func() { stop(); cancel(context.Canceled) }}
}

// giveBack deletes the lease, which must be there until then.
func (h *holding) giveBack(ctx context.Context) (err error) {
	var begun atomic.Bool
	remove := func(ctx context.Context) (struct{}, error) {
		if begun.Swap(true) {
			return struct{}{}, ErrUnknown // nobody gets it
		}
		h.stop()
		return struct{}{}, h.remove(ctx)
	}
	h.b.orUndo(func() { _, err = offload(ctx, remove) }, func() {
		if !begun.Swap(true) {
			h.stop()
			h.release()
		}
	})
	return err
}
