package uringnet_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// TestReadersChangeOver: readers in goroutines and in tasks of two loops give up and come
// again, the deadline comes and goes, and no byte and no wake is lost; then Close ends all.
func TestReadersChangeOver(t *testing.T) {
	one, two := newLoop(t), newLoop(t)
	for _, network := range []string{"tcp", "unix"} {
		for range 5 {
			a, b := pair(t, network)
			c := changeOver{t: t, a: a}
			const bytes = 200
			readers := []<-chan struct{}{}
			for range 2 {
				for _, w := range []world{{t, nil}, {t, one}, {t, two}} {
					readers = append(readers, w.start(c.read))
				}
			}
			var others sync.WaitGroup
			others.Go(c.setDeadlines)
			for range bytes {
				_, err := b.Write([]byte("x"))
				require.NoError(t, err)
				for n := c.got.Load(); rand.IntN(3) == 0 && n == c.got.Load() && n < bytes; {
					time.Sleep(time.Microsecond)
				}
			}
			for c.got.Load() < bytes {
				time.Sleep(time.Microsecond)
			}
			c.over.Store(true)
			others.Wait()
			require.NoError(t, a.SetDeadline(time.Time{}))
			world{t, one}.do(func(context.Context) { require.NoError(t, a.Close()) })
			for _, r := range readers {
				<-r
			}
		}
	}
}

type changeOver struct {
	t    *testing.T
	a    *uringnet.Conn
	got  atomic.Int64
	over atomic.Bool
}

func (c *changeOver) read(ctx context.Context) {
	for {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(500))*time.Microsecond)
		if rand.IntN(4) == 0 {
			cancel()
			ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
		}
		n, err := c.a.ReadContext(ctx, make([]byte, 3))
		cancel()
		c.got.Add(int64(n))
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == io.EOF:
			assert.Fail(c.t, "end of file")
			return
		}
		assert.True(c.t, err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded), err)
	}
}

// setDeadlines sets deadlines that pass, and takes them away.
func (c *changeOver) setDeadlines() {
	for !c.over.Load() {
		assert.NoError(c.t, c.a.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(300)-50)*time.Microsecond)))
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
		assert.NoError(c.t, c.a.SetReadDeadline(time.Time{}))
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	}
}
