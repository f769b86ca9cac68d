package natsengine

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSharedAnswerIsNewEnough: nobody gets an answer that was asked for before the call, and
// calls that come together share one.
func TestSharedAnswerIsNewEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		s := newShared[time.Time]()
		asked := 0
		ask := func() (time.Time, error) {
			begun := time.Now()
			asked++
			time.Sleep(10 * time.Millisecond)
			return begun, nil
		}
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				time.Sleep(rand.N(time.Second))
				called := time.Now()
				begun, err := s.do(t.Context(), ask)
				assert.NoError(t, err)
				assert.False(t, begun.Before(called))
				assert.LessOrEqual(t, time.Since(called), 20*time.Millisecond)
			})
		}
		wg.Wait()
		require.LessOrEqual(t, asked, 102) // one after the other
	})
}

// TestSharedQuestionIsAskedAgain: whatever ends one call, the next one asks by itself.
func TestSharedQuestionIsAskedAgain(t *testing.T) {
	bad := errors.New("bad")
	for name, end := range map[string]func() (int, error){
		"error":  func() (int, error) { return 0, bad },
		"panic":  func() (int, error) { panic(bad) },
		"goexit": func() (int, error) { runtime.Goexit(); return 0, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newShared[int]()
			go func() {
				defer func() { _ = recover() }()
				_, err := s.do(t.Context(), func() (int, error) { time.Sleep(time.Second); return end() })
				assert.ErrorIs(t, err, bad, name)
			}()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			_, err := s.do(ctx, func() (int, error) { return 1, nil })
			require.ErrorIs(t, err, errNoTurn, name)
			n, err := s.do(t.Context(), func() (int, error) { return 2, nil })
			require.NoError(t, err, name)
			require.Equal(t, 2, n, name)
		})
	}
}
