package natsengine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRetryAsksAgain: while nobody answers, as when a leader is elected, a request is sent again
// after a short time. Over a link that is slow, it succeeds all the same.
func TestRetryAsksAgain(t *testing.T) {
	for name, answer := range map[string]struct{ since, takes time.Duration }{
		"a new leader": {since: 7 * time.Second},
		"a slow link":  {takes: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &Engine{ctx: t.Context()}
				e.relink()
				begun := time.Now()
				err := e.retry(t.Context(), func(ctx context.Context) error {
					if time.Since(begun) < answer.since { // nobody has the request
						<-ctx.Done()
						return ctx.Err()
					}
					select {
					case <-time.After(answer.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				require.NoError(t, err)
				if answer.takes == 0 {
					require.Less(t, time.Since(begun), answer.since+2500*time.Millisecond)
				}
			})
		})
	}
}
