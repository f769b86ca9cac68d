package waitq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
)

// call uses s for a wait that another goroutine wakes, and returns its channel.
func call(s *waitq.Selector, done <-chan struct{}) <-chan struct{} {
	return callBy(s, done, s.Wake)
}

// callBy lets wake wake s, in a goroutine of its own.
func callBy(s *waitq.Selector, done <-chan struct{}, wake func()) <-chan struct{} {
	c := s.Channel(done)
	go wake()
	select {
	case <-c:
	case <-done:
	}
	s.Reuse(done)
	return c
}

// endless returns a Done channel that is closed when the test ends.
func endless(t *testing.T) <-chan struct{} {
	ctx, cancel := context.WithCancel(bg)
	t.Cleanup(cancel)
	return ctx.Done()
}

// TestSelectorKeepsAChannelOfMany: the waits of one context use one channel from the
// third wait on, until there is a wait of another context.
func TestSelectorKeepsAChannelOfMany(t *testing.T) {
	var s waitq.Selector
	many, once := endless(t), endless(t)
	for range 2 {
		first, second := call(&s, many), call(&s, many)
		require.NotEqual(t, first, second)
		require.Equal(t, second, call(&s, many))
		require.Equal(t, second, call(&s, many))
		require.NotEqual(t, second, call(&s, once))
	}
}

// TestSelectorKeepsNoChannelOfABubble, even if the context was made outside.
func TestSelectorKeepsNoChannelOfABubble(t *testing.T) {
	var s waitq.Selector
	outer := endless(t)
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			for range 3 {
				call(&s, outer)
			}
			inner := endless(t)
			for range 3 {
				start := time.Now()
				callBy(&s, inner, func() {
					time.Sleep(time.Hour)
					s.Wake()
				})
				require.Equal(t, time.Hour, time.Since(start), "which blocks durably")
			}
			for range 3 {
				call(&s, outer)
			}
		})
		for range 3 {
			call(&s, outer)
		}
	}
}

// TestSelectorAllocatesNothing in all but the first waits under a context.
func TestSelectorAllocatesNothing(t *testing.T) {
	var s waitq.Selector
	done := endless(t)
	require.Zero(t, int(testing.AllocsPerRun(1000, func() {
		c := s.Channel(done)
		s.Wake()
		<-c
		s.Reuse(done)
	})))
}
