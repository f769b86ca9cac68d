package uringfs_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/misbehave"
)

// A lateStrike is a context whose Value misbehaves once Err was called.
type lateStrike struct {
	context.Context
	once   func()
	strike misbehave.Strike
	armed  bool
}

func (c *lateStrike) Err() error {
	if !c.armed {
		c.armed = true
		c.once()
	}
	return nil
}

func (c *lateStrike) Value(key any) any {
	if c.armed {
		c.strike.Do()
	}
	return c.Context.Value(key)
}

// TestCloseOutlivesRudeContexts: the last user closes the file, even if the context of that
// call misbehaves by then.
func TestCloseOutlivesRudeContexts(t *testing.T) {
	skipWithoutRing(t)
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		r, _ := pipe(t)
		raw, err := r.SyscallConn()
		require.NoError(t, err)
		fd := -1
		require.NoError(t, raw.Control(func(n uintptr) { fd = int(n) }))
		closed := make(chan error, 1)
		late := &lateStrike{Context: context.Background(), strike: strike, once: func() {
			go func() { closed <- r.Close() }()
			for _, err := r.SyscallConn(); err == nil; _, err = r.SyscallConn() {
				runtime.Gosched()
			}
		}}
		misbehave.Outcome(func() error {
			_, err := r.StatContext(late)
			return err
		})
		require.NoError(t, <-closed)
		_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.ErrorIs(t, err, unix.EBADF)
	}
}
