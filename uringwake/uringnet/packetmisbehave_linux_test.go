package uringnet_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/wake"
)

// TestPacketMisbehavingContexts: after a call that a context or a parker has ended by a
// panic, or by the end of its goroutine, the socket works and can be closed.
func TestPacketMisbehavingContexts(t *testing.T) {
	skipWithoutRing(t)
	for what := range misbehave.Armables(nil) {
		t.Run(what, func(t *testing.T) {
			a, b := listenPacket(t, bg, "unixgram"), listenPacket(t, bg, "unixgram")
			full := listenPacket(t, bg, "unixgram")
			fillQueue(t, b, full)
			for name, call := range map[string]func(ctx context.Context) error{
				"receive": func(ctx context.Context) error { _, _, err := a.ReadFromContext(ctx, make([]byte, 10)); return err },
				"send": func(ctx context.Context) error {
					_, err := a.WriteToContext(ctx, []byte("x"), full.LocalAddr())
					return err
				},
			} {
				endBadly(t, name, call, func() { a.LocalAddr() }, what)
			}
			requireEcho(t, a, b)
			require.NoError(t, a.Close())
		})
	}
}

// angry is a task's context that panics when it is asked whether it has ended.
type angry struct{ context.Context }

func (angry) Err() error { panic("angry") }

func TestPacketPanics(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		require.PanicsWithValue(t, "angry", func() { a.ReadFromContext(angry{ctx}, make([]byte, 10)) })
		require.PanicsWithValue(t, "angry", func() { a.WriteToContext(angry{ctx}, []byte("x"), b.LocalAddr()) })
		requireEcho(t, a, b)
		raw, err := a.SyscallConn()
		require.NoError(t, err)
		require.Panics(t, func() { raw.Read(func(uintptr) bool { panic("f") }) })
		require.Panics(t, func() { raw.Write(func(uintptr) bool { panic("f") }) })
		require.Panics(t, func() { raw.Control(func(uintptr) { panic("f") }) })
		requireEcho(t, a, b)
		require.NoError(t, a.Close())
	})
}

// endBadly calls what waits, under a context that misbehaves from the beginning, or once
// its parker is used, which misbehaves too.
func endBadly(t *testing.T, name string, call func(ctx context.Context) error, callBack func(), what string) {
	c := misbehave.Armables(callBack)[what]
	c.Armed = true
	returned, err := misbehave.Outcome(func() error { return call(c) })
	if returned {
		require.Error(t, err, name)
	}
	for how, strike := range misbehave.Parks {
		c := misbehave.Armables(callBack)[what]
		p := &misbehave.First{Parker: wake.NewParker(), First: func() { c.Armed = true }, Strike: strike}
		returned, err := misbehave.Outcome(func() error { return call(wake.WithParker(c, p)) })
		if returned {
			require.Error(t, err, "%s, %s", name, how)
		}
	}
}

func requireEcho(t *testing.T, a, b *uringnet.PacketConn) {
	_, err := a.WriteTo([]byte("x"), b.LocalAddr())
	require.NoError(t, err)
	p := make([]byte, 10)
	n, from, err := b.ReadFrom(p)
	require.NoError(t, err)
	_, err = b.WriteTo(p[:n], from)
	require.NoError(t, err)
	n, _, err = a.ReadFrom(p)
	require.NoError(t, err)
	require.Equal(t, "x", string(p[:n]))
}
