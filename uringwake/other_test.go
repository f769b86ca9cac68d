//go:build !linux

package uringwake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

func haveRing() error { return uringwake.Supported() }

func haveMessages() error { return uringwake.HaveMsgRing() }

func haveFutexes() error { return uringwake.HaveFutex() }

// Off Linux, whatever makes something returns one error that says why.
func TestUnsupported(t *testing.T) {
	ctx := context.Background()
	_, loop := uringwake.NewLoop(nil)
	_, rt := uringwake.NewRuntime(nil)
	_, def := uringwake.Default()
	_, event := uringwake.NewEventFD()
	_, msg := uringwake.NewMsgRing(0, 0, 0)
	_, read := uringwake.Read(ctx, 0, nil, -1)
	_, open := uringwake.Openat(ctx, 0, "", 0, 0)
	_, _, accept := uringwake.Accept(ctx, 0, 0)
	_, send := uringwake.Sendmsg(ctx, 0, new(uringwake.Message), 0)
	for _, err := range []error{
		loop, rt, def, event, msg, read, open, accept, send, uringwake.Nop(ctx),
		uringwake.HaveMsgRing(), uringwake.HaveSendMsgRing(), uringwake.HaveFutex(),
	} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.Equal(t, uringwake.Supported(), err)
	}
	ran := false
	uringwake.Blocking(ctx, func() { ran = true })
	require.True(t, ran)
	require.Nil(t, uringwake.TaskFrom(ctx))
}
