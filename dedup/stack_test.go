package dedup_test

import (
	"context"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// TestALoadNeedsNoLargerStack: a goroutine begins with a stack of 2 KB, and to copy it to
// a larger one costs more than the rest of a load. When its callers are woken, a load
// still has its first stack, unless it had to wait for a lock or grow a table.
func TestALoadNeedsNoLargerStack(t *testing.T) {
	if testkit.Race || schedpoint.On {
		t.Skip("frames are larger")
	}
	for name, o := range map[string]options{
		"":             {},
		"TTL":          {TTL: time.Hour, ErrorTTL: time.Second, Jitter: 0.1},
		"TTLOf":        {TTLOf: func(string, int) time.Duration { return time.Hour }},
		"MaxLoads":     {MaxLoads: 2},
		"StaleIfError": {TTL: time.Nanosecond, StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var began, ended uintptr
				c := newCache(t, func(context.Context, string) (int, error) { began = stack(); return 1, nil }, &o)
				for i := range 100 { // so that no table has to grow
					c.Put(fmt.Sprint(i), i)
				}
				stayed := 0
				for range 20 {
					ctx := wake.WithParker(bg, &lookingParker{wake.NewParker(), func() { ended = stack() }})
					_, err := c.Get(ctx, "k")
					require.NoError(t, err)
					if began == ended {
						stayed++
					}
					c.Invalidate("k")
				}
				require.NotZero(t, stayed)
			})
		})
	}
}

type lookingParker struct {
	wake.Parker
	look func()
}

func (p *lookingParker) Wake() { p.look(); p.Parker.Wake() }

// stack tells stacks of 2 KB apart.
//
//go:noinline
func stack() uintptr {
	var here byte
	return uintptr(unsafe.Pointer(&here)) / 2048
}
