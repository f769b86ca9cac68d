package notify

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestPickedWhenTheContextEnds: a waiter that was picked and not woken yet does not fail,
// and the wake that is still to come wakes no other waiter.
func TestPickedWhenTheContextEnds(t *testing.T) {
	for name, wait := range map[string]func(n *Notify, ctx context.Context) error{
		"Wait":     (*Notify).Wait,
		"Listener": func(n *Notify, ctx context.Context) error { return n.Listen().Wait(ctx) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var n Notify
			ctx, cancel := context.WithCancel(context.Background())
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- wait(&n, ctx) }()
			synctest.Wait()
			tell := half(&n)
			cancel()
			require.NoError(t, <-first, name)

			ctx, cancel = context.WithCancel(context.Background())
			defer cancel()
			go func() { second <- wait(&n, ctx) }()
			synctest.Wait()
			tell()
			synctest.Wait()
			require.Empty(t, second, name)
			n.NotifyOne()
			require.NoError(t, <-second, name)
		})
	}
}
