//go:build vigil_schedpoint

package await_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/wake"
)

// TestSelectIsServedBeforeItEntersTheNextLine: it does not take of the next Queue, too.
func TestSelectIsServedBeforeItEntersTheNextLine(t *testing.T) {
	first, second := await.NewQueue[int](1), await.NewQueue[int](1)
	entered := 0
	defer schedpoint.Hold(schedpoint.QueueEnters, func() {
		if entered++; entered == 2 {
			require.True(t, first.TryPut(1))
			require.True(t, second.TryPut(2))
		}
	})()
	v, lost := 0, 0
	chosen, err := await.Select(context.Background(), first.OnTake(&v), second.OnTake(&lost))
	require.NoError(t, err)
	require.Zero(t, chosen)
	require.Equal(t, 1, v)
	require.Zero(t, lost)
	requireQueue(t, first)
	requireQueue(t, second, 2)
}

// TestCaseIsReusedBeforeItsWakerWasCalled: its next wait has a waiter of its own, which the
// late call of the waker does not touch.
func TestCaseIsReusedBeforeItsWakerWasCalled(t *testing.T) {
	q := await.NewQueue[int](1)
	v := 0
	c := q.OnTake(&v)
	served, wakes, woken := make(chan struct{}), make(chan struct{}), make(chan struct{})
	picked := 0
	defer schedpoint.Hold(schedpoint.QueuePicked, func() {
		if picked++; picked == 1 {
			close(served)
			<-wakes
		}
	})()
	use := func(meanwhile func()) {
		p := &misbehave.First{Parker: wake.NewParker(), First: meanwhile, Strike: misbehave.Fail}
		chosen, err := await.Select(wake.WithParker(context.Background(), p), c)
		require.NoError(t, err)
		require.Zero(t, chosen)
	}
	use(func() {
		go func() {
			q.TryPut(1)
			close(woken)
		}()
		<-served
	})
	require.Equal(t, 1, v)
	use(func() {
		close(wakes)
		<-woken
		require.True(t, q.TryPut(2))
	})
	require.Equal(t, 2, v)
	requireQueue(t, q)
}

// TestQueueWaiterIsReusedBeforeItsWakerWasCalled: a Take that was served and returned
// because its context had ended is woken later, and no other Take in its place.
func TestQueueWaiterIsReusedBeforeItsWakerWasCalled(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		q := await.NewQueue[int](1)
		for range 20 {
			wakes, picked := make(chan struct{}), false
			release := schedpoint.Hold(schedpoint.QueuePicked, func() {
				if !picked {
					picked = true
					<-wakes
				}
			})
			early := way.take(q)
			go q.TryPut(1)
			synctest.Wait()
			early.requireWaits(t)
			early.cancel()
			early.requireEnded(t, 1, nil)
			late := way.take(q)
			close(wakes)
			late.requireWaits(t)
			require.True(t, q.TryPut(2))
			late.requireEnded(t, 2, nil)
			release()
		}
		requireQueue(t, q)
	})
}

// TestServedWhileTheContextEnds: a waiter that is served between the end of its context and
// its leaving the line has what it was handed.
func TestServedWhileTheContextEnds(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		q := await.NewQueue[int](1)
		defer schedpoint.Hold(schedpoint.QueueFailed, func() {
			if !q.TryPut(1) {
				q.TryTake()
			}
		})()
		take := way.take(q)
		take.cancel()
		take.requireEnded(t, 1, nil)
		require.True(t, q.TryPut(2))
		put := way.put(q, 3)
		put.cancel()
		put.requireEnded(t, 0, nil)
		requireQueue(t, q, 3)
	})
}
