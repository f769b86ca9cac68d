package uringnet_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

// TestCloseWithoutPlaces: on a loop whose only place is taken by a read, Close cancels that.
// Then the place is taken by the read at the other end, which waits for the end of the
// connection: Close does not wait for a place.
func TestCloseWithoutPlaces(t *testing.T) {
	skipWithoutRing(t)
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{MaxInFlight: 1, SpinFor: -1})
	require.NoError(t, err)
	w := world{t, l}
	for _, network := range []string{"tcp", "unix"} {
		a, b := pair(t, network)
		var all []<-chan struct{}
		for range 2 {
			all = append(all, w.start(func(context.Context) {
				_, err := a.Read(make([]byte, 1))
				assert.ErrorIs(t, err, net.ErrClosed)
			}), w.start(func(context.Context) {
				_, err := a.Write(make([]byte, 16<<20))
				assert.ErrorIs(t, err, net.ErrClosed)
			}))
		}
		all = append(all, w.start(func(context.Context) {
			for err := error(nil); err == nil; {
				_, err = b.Read(make([]byte, 1))
			}
		}))
		w.do(func(context.Context) { assert.NoError(t, a.Close()) })
		for _, done := range all {
			<-done
		}
	}
	require.NoError(t, l.Close(bg))
}

// TestMessagesWithOnePlace: a loop with one place has none for a receive in advance, by
// which it would wait for a message that it has no place to ask for.
func TestMessagesWithOnePlace(t *testing.T) {
	skipWithoutRing(t)
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{MaxInFlight: 1, SpinFor: -1})
	require.NoError(t, err)
	a, b := pair(t, "tcp")
	world{t, l}.do(func(context.Context) {
		for range 10 {
			exchangeHere(t, b, a)
		}
	})
	requireArmed(t, a, false)
	require.NoError(t, l.Close(bg))
}
