package cluster

import "context"

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
func (h *holding) giveBack(ctx context.Context) error {
	return h.b.offloadOr(ctx, func(ctx context.Context) error {
		h.stop()
		return h.remove(ctx)
	}, func() {
		h.stop()
		h.release()
	})
}
