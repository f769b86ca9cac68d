package uringnet_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDeadlines has each operation under each kind of deadline: past, present, in a moment,
// and none after one.
func TestDeadlines(t *testing.T) {
	deadlines := map[string]func() time.Time{
		"past":        func() time.Time { return past },
		"present":     time.Now,
		"in a moment": func() time.Time { return time.Now().Add(2 * time.Millisecond) },
	}
	inWorlds(t, func(t *testing.T, w world) {
		l := listen(t, "tcp")
		a, b := pair(t, "tcp")
		large := make([]byte, 32<<20)
		operations := map[string]struct {
			set func(time.Time) error
			do  func() error
		}{
			"accept":   {l.SetDeadline, func() error { return second(l.Accept()) }},
			"read":     {a.SetReadDeadline, func() error { return second(a.Read(large[:1])) }},
			"write":    {a.SetWriteDeadline, func() error { return second(a.Write(large)) }},
			"writev":   {a.SetWriteDeadline, func() error { return second(a.Writev([][]byte{large[:1], large})) }},
			"readfrom": {a.SetDeadline, func() error { return second(a.ReadFrom(b)) }},
		}
		for name, o := range operations {
			for when, deadline := range deadlines {
				t.Run(name+"/"+when, func(t *testing.T) {
					w.do(func(context.Context) {
						for range 2 {
							require.NoError(t, o.set(deadline()))
							if name == "readfrom" { // it waits for its source
								require.NoError(t, b.SetReadDeadline(deadline()))
							}
							requireTimeout(t, o.do())
							requireTimeout(t, o.do()) // it stays
							require.NoError(t, o.set(time.Now().Add(time.Hour)))
							require.NoError(t, o.set(time.Time{}))
							require.NoError(t, b.SetDeadline(time.Time{}))
						}
					})
				})
			}
		}
	})
}

// TestDeadlineAndOperationTogether sets deadlines while operations go on.
func TestDeadlineAndOperationTogether(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "unix")
		var all []<-chan struct{}
		for range 2 {
			all = append(all, w.start(func(context.Context) {
				for i := range 300 {
					require.NoError(t, a.SetDeadline(time.Now().Add(time.Duration(i%3-1)*time.Hour)))
				}
			}), w.start(func(context.Context) {
				for range 300 {
					if n, err := a.Write([]byte("x")); err != nil {
						require.Zero(t, n)
						requireTimeout(t, err)
					}
				}
			}))
		}
		reader := w.start(func(context.Context) {
			for p := make([]byte, 100); ; {
				if _, err := b.Read(p); err != nil {
					return
				}
			}
		})
		for _, done := range all {
			<-done
		}
		require.NoError(t, a.Close())
		<-reader
	})
}
