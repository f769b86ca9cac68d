package etcdengine

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vigil-go/vigil/cluster/engine"
)

const (
	apiTimeout            = 5 * time.Second
	firstDelay, lastDelay = 20 * time.Millisecond, time.Second
)

// retry calls f until it succeeds, fails for good, or ctx or the Engine ends. Each call has
// a context of its own.
func (e *Engine) retry(ctx context.Context, f func(ctx context.Context) error) error {
	for retry := newBackoff(); ; {
		if err := e.ended(ctx); err != nil {
			return err
		}
		err := e.once(ctx, f)
		if err == nil || final(err) {
			return err
		}
		if e.wait(ctx, retry) != nil {
			return errors.Join(e.ended(ctx), err)
		}
	}
}

// once calls f with a context that ends in any case.
func (e *Engine) once(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeout(ctx, apiTimeout)
	defer stop()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// wait sleeps before the next try, or until ctx or the Engine ends.
func (e *Engine) wait(ctx context.Context, retry *backoff) error {
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	return retry.sleep(ctx)
}

// code returns the code of an error of a request.
func code(err error) codes.Code {
	if etcd := (rpctypes.EtcdError{}); errors.As(rpctypes.Error(err), &etcd) {
		return etcd.Code()
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return codes.Canceled
	}
	return status.Code(err)
}

// unclear reports whether a request that failed so may have been applied.
func unclear(err error) bool {
	switch code(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Unknown, codes.Internal, codes.Aborted, codes.DataLoss:
		return true
	}
	return false
}

// passing reports whether a request that was refused so was not applied, and may be when it is
// sent again.
func passing(err error) bool {
	for _, one := range []error{
		rpctypes.ErrTooManyRequests, rpctypes.ErrLeaseNotFound, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision,
	} {
		if errors.Is(rpctypes.Error(err), one) {
			return true
		}
	}
	return false
}

// final reports whether a request that failed so would fail again.
func final(err error) bool {
	switch {
	case errors.Is(err, engine.ErrClosed) || errors.Is(err, errCompacted) || errors.Is(err, errOtherHistory):
		return true
	case errors.Is(err, errMoving) || errors.Is(err, errEarly):
		return false
	}
	return !unclear(err) && !passing(err)
}

// A backoff is the time between tries, which grows.
type backoff struct{ delay time.Duration }

func newBackoff() *backoff { return &backoff{firstDelay} }

func (b *backoff) sleep(ctx context.Context) error {
	t := time.NewTimer(b.delay)
	defer t.Stop()
	b.delay = min(2*b.delay, lastDelay)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return engine.ContextError(ctx)
	}
}
