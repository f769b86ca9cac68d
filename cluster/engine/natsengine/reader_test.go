package natsengine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// newSilentReader returns a reader that has asked for messages, of a consumer that says nothing.
func newSilentReader() *reader {
	e := &Engine{look: make(chan struct{}, 1), broken: make(chan struct{}, 1)}
	return &reader{e: e, msgs: make(chan *nats.Msg, 10), left: 10, quiet: time.NewTimer(silence)}
}

// TestLostConsumerIsNoticedWhileOthersAsk: each Position makes the watch look whether it is up to
// date. That is no sign of life of the consumer.
func TestLostConsumerIsNoticedWhileOthersAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSilentReader()
		begun, err := time.Now(), errLook
		for err == errLook && time.Since(begun) < time.Minute {
			go func() { time.Sleep(time.Second); signal(r.e.look) }()
			_, err = r.next(t.Context(), make(chan time.Time))
		}
		require.ErrorContains(t, err, "no heartbeat")
		require.Equal(t, silence, time.Since(begun))
		time.Sleep(time.Second)
	})
}

// TestSlowReaderHasNotLostItsConsumer: the messages that have come meanwhile are read.
func TestSlowReaderHasNotLostItsConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			r := newSilentReader()
			time.Sleep(2 * silence) // in a callback
			r.msgs <- &nats.Msg{Data: []byte("x")}
			m, err := r.next(t.Context(), nil)
			require.NoError(t, err)
			require.NotNil(t, m)
			ctx, cancel := context.WithTimeout(t.Context(), silence-1)
			_, err = r.next(ctx, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded, "the time counts from the message")
			cancel()
		}
	})
}
