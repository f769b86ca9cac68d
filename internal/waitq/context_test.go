package waitq_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
)

func TestContextError(t *testing.T) {
	canceled := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(bg)
		cancel(cause)
		return ctx
	}
	late, stop := context.WithDeadlineCause(bg, time.Now().Add(-time.Hour), errCause)
	defer stop()
	child, stopChild := context.WithCancel(canceled(errCause))
	defer stopChild()
	for name, c := range map[string]struct {
		ctx  context.Context
		want []error
		text string
	}{
		"no cause":         {canceled(nil), []error{context.Canceled}, "context canceled"},
		"cause":            {canceled(errCause), []error{context.Canceled, errCause}, "context canceled: the cause"},
		"deadline":         {late, []error{context.DeadlineExceeded, errCause}, "context deadline exceeded: the cause"},
		"parent's cause":   {child, []error{context.Canceled, errCause}, "context canceled: the cause"},
		"cause of another": {canceled(context.DeadlineExceeded), []error{context.Canceled, context.DeadlineExceeded}, "context canceled: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			err := waitq.ContextError(c.ctx)
			for _, want := range c.want {
				require.ErrorIs(t, err, want)
			}
			require.EqualError(t, err, c.text)
		})
	}
	require.Same(t, context.Canceled, waitq.ContextError(canceled(nil)), "nothing to add")
}

// uncomparable is an error on which == panics.
type uncomparable []string

func (e uncomparable) Error() string { return "uncomparable" }

// boxed is comparable or not, depending on its value.
type boxed struct{ what any }

func (e boxed) Error() string { return "boxed" }

// says is a context with another error.
type says struct {
	context.Context
	err error
}

func (c says) Err() error { return c.err }

// saysAll also hides that it wraps a context of package context.
type saysAll struct{ says }

func (saysAll) Value(any) any { return nil }

// TestErrorOfAMisbehavingContext: its error may be any error, or nil.
func TestErrorOfAMisbehavingContext(t *testing.T) {
	errs := map[string]error{
		"uncomparable":       uncomparable{"a"},
		"comparable at last": boxed{1},
		"not comparable":     boxed{[]int{1}},
		"none":               nil,
	}
	for name, err := range errs {
		want := err
		if err == nil {
			want = context.Canceled
		}
		for _, ctx := range []context.Context{says{bg, err}, saysAll{says{ended(), err}}} {
			require.Equal(t, want, waitq.ContextError(ctx), name)
			require.Equal(t, want, waitq.ParkError(ctx, want), name)
		}
		ctx, cancel := context.WithCancelCause(bg)
		cancel(err)
		got := waitq.ContextError(ctx) // the cause is misbehaving
		require.ErrorIs(t, got, context.Canceled, name)
		if err != nil {
			require.EqualError(t, got, "context canceled: "+err.Error(), name)
		}
		if err != nil { // which context.Cause asks for first
			got = waitq.ContextError(says{ended(), err})
			require.ErrorIs(t, got, errCause, name)
			require.EqualError(t, got, want.Error()+": the cause", name)
		}
	}
}

// TestParkError: it is the parker's own error or the context's, and never nil.
func TestParkError(t *testing.T) {
	own := errors.New("the parker's own")
	require.Same(t, own, waitq.ParkError(bg, own))
	require.ErrorIs(t, waitq.ParkError(ended(), own), errCause)
	require.ErrorIs(t, waitq.ParkError(ended(), nil), context.Canceled)
	require.ErrorIs(t, waitq.ParkError(bg, nil), context.Canceled)
}
