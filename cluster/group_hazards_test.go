package cluster_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/dedup"
)

func TestGroupKeys(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	for _, key := range []string{"", "\x00", "a\x00b", "\xff", "*.>", "_history", strings.Repeat("k", 600)} {
		l := newLoad()
		first := do(all[0], key, l.f)
		<-l.begun
		second := do(all[1], key, never)
		requireWaits(t, all[1], key)
		l.end <- result[string]{v: "value"}
		require.Equal(t, result[string]{v: "value"}, <-first)
		require.Equal(t, result[string]{v: "value"}, <-second)
	}
	_, err := all[0].Do(bg, strings.Repeat("k", 3000), never)
	require.ErrorIs(t, err, engine.ErrKey)
}

// A badCodec does what the test says.
type badCodec struct{ encode, decode func() }

func (c badCodec) Encode(v any) ([]byte, error)     { c.encode(); return cluster.JSON.Encode(v) }
func (c badCodec) Decode(data []byte, to any) error { c.decode(); return cluster.JSON.Decode(data, to) }

type badError struct{ text func() }

func (e badError) Error() string { e.text(); return "" }

// TestGroupUserCodeThatDoesNotReturn leaves no lease, and the next load begins.
func TestGroupUserCodeThatDoesNotReturn(t *testing.T) {
	for name, bad := range map[string]func(){"panics": func() { panic("why") }, "exits": runtime.Goexit} {
		k, b := newKeeper(t)
		codec := badCodec{bad, bad}
		g, err := cluster.NewGroup[string](b, &cluster.GroupOptions{Codec: &codec})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		var panicked *dedup.PanicError
		for _, want := range []result[string]{{v: "value"}, {err: badError{bad}}} {
			_, err = g.Do(ctx, "key", func(context.Context) (string, error) { return want.v, want.err })
			require.ErrorAs(t, err, &panicked, name)
			k.requireEmpty(t)
		}
		k.tell(groupEvent(20, "key", cluster.LeaseRecord()))
		require.NoError(t, b.Sync(bg))
		waits := start(func() (string, error) { return g.Do(ctx, "key", never) })
		requireWaits(t, g, "key")
		k.tell(groupEvent(21, "key", cluster.ResultRecord([]byte(`"value"`))))
		err = (<-waits).err
		require.Condition(t, func() bool { return errors.Is(err, cluster.ErrDecode) || errors.As(err, &panicked) }, "%v", err)
	}
}

// TestGroupNested: a load may call Do with its context, but cannot wait for itself.
func TestGroupNested(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	v, err := all[0].Do(bg, "outer", func(ctx context.Context) (string, error) {
		_, err := all[0].Do(ctx, "outer", never)
		require.ErrorIs(t, err, dedup.ErrCycle)
		outer, _ := cluster.Fence(ctx)
		return all[0].Do(ctx, "inner", func(ctx context.Context) (string, error) {
			inner, _ := cluster.Fence(ctx)
			require.Greater(t, inner, outer)
			_, err := all[0].Do(ctx, "outer", never)
			require.ErrorIs(t, err, dedup.ErrCycle)
			return all[1].Do(ctx, "inner of another machine", func(context.Context) (string, error) { return "value", nil })
		})
	})
	require.NoError(t, err)
	require.Equal(t, "value", v)
}

// TestGroupUsesTheFirstCallersLoad also when that caller has left.
func TestGroupUsesTheFirstCallersLoad(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	l, next := newLoad(), newLoad()
	remote := do(all[1], "key", l.f)
	<-l.begun
	ctx, cancel := context.WithCancel(bg)
	first := start(func() (string, error) { return all[0].Do(ctx, "key", next.f) })
	requireWaits(t, all[0], "key")
	second := start(func() (string, error) { return all[0].Do(context.WithoutCancel(ctx), "key", never) })
	require.Eventually(t, func() bool { return all[0].FlightCallers("key") == 2 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, (<-first).err, context.Canceled)
	l.end <- result[string]{v: string(make([]byte, 2<<20))} // which the engine cannot have
	require.Error(t, (<-remote).err)
	<-next.begun
	next.end <- result[string]{v: "value"}
	require.Equal(t, result[string]{v: "value"}, <-second)
}
