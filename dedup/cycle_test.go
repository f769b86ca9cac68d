package dedup_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestALoadThatHasEndedClosesNoCycle: the load of "x" has ended. A goroutine that it left
// behind asks, with its values, for the key of a load that asked for "x" and now waits
// for another key.
func TestALoadThatHasEndedClosesNoCycle(t *testing.T) {
	for _, detached := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			var c *dedup.Cache[string, int]
			gate, left := make(chan struct{}), make(chan result, 1)
			c = newCache(t, func(ctx context.Context, key string) (int, error) {
				switch key {
				case "page":
					m, err := c.GetMany(ctx, []string{"slow", "x"})
					return len(m), err
				case "slow":
					<-gate
				case "x":
					ctx = context.WithoutCancel(ctx)
					if detached {
						go func() {
							time.Sleep(time.Second)
							left <- get(c, ctx, "page")
						}()
					} else {
						go func() { left <- get(c, ctx, "w") }()
						time.Sleep(time.Second / 2)
					}
				case "w":
					time.Sleep(time.Second)
					return c.Get(ctx, "page")
				}
				return 1, nil
			}, nil)
			page := cacheOf(c).startN(1, bg, "page")[0]
			time.Sleep(2 * time.Second)
			synctest.Wait()
			requireNoResult(t, left)
			close(gate)
			require.Equal(t, result{v: 2}, <-page)
			require.Equal(t, result{v: 2}, <-left)
		})
	}
}

func requireNoResult(t *testing.T, c chan result) {
	t.Helper()
	select {
	case r := <-c:
		c <- r
		require.Failf(t, "returned early", "%v", r)
	default:
	}
}

// TestSlotsOfTwoCaches: no key waits for itself, but two loads wait for slots that are
// held by loads that wait.
func TestSlotsOfTwoCaches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var a, b *dedup.Cache[string, int]
		load := func(of **dedup.Cache[string, int]) dedup.Loader[string, int] {
			return func(ctx context.Context, key string) (int, error) {
				time.Sleep(time.Second)
				if key == "page" {
					return (*of).Get(ctx, "part")
				}
				return 1, nil
			}
		}
		a = newCache(t, load(&b), &options{MaxLoads: 1})
		b = newCache(t, load(&a), &options{MaxLoads: 1})
		ctx, cancel := context.WithTimeout(bg, time.Hour) // of bubble time
		defer cancel()
		one, other := cacheOf(a).start(ctx, "page"), cacheOf(b).start(ctx, "page")
		got := []result{<-one, <-other}
		require.Equal(t, []result{{v: 1}, {v: 1}}, got)
	})
}
