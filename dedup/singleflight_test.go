package dedup_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// What users of golang.org/x/sync/singleflight rely on, and its tests check, holds for a
// Group behind this adapter. The two differ in that panics and Goexit are errors here,
// which the adapter converts.

// A singleflight has the methods of that package.
type singleflight struct {
	g dedup.Group[string, any]
}

type flightResult struct {
	Val    any
	Err    error
	Shared bool
}

func (s *singleflight) Do(key string, f func() (any, error)) (any, error, bool) {
	v, shared, err := s.g.Do(bg, key, func(context.Context) (any, error) { return f() })
	if errors.Is(err, dedup.ErrGoexit) {
		runtime.Goexit()
	}
	if p, ok := errors.AsType[*dedup.PanicError](err); ok {
		panic(p)
	}
	return v, err, shared
}

func (s *singleflight) DoChan(key string, f func() (any, error)) <-chan flightResult {
	c := make(chan flightResult, 1)
	go func() {
		v, err, shared := s.Do(key, f)
		c <- flightResult{v, err, shared}
	}()
	return c
}

func TestSingleflightGivesWhatTheFunctionGives(t *testing.T) {
	var s singleflight
	v, err, shared := s.Do("k", func() (any, error) { return "value", nil })
	require.Equal(t, "value", v)
	require.NoError(t, err)
	require.False(t, shared)

	v, err, shared = s.Do("k", func() (any, error) { return nil, errLoad })
	require.Nil(t, v)
	require.Equal(t, errLoad, err)
	require.False(t, shared)
}

func TestSingleflightPanicErrorUnwraps(t *testing.T) {
	for _, c := range []struct {
		value any
		want  bool
	}{{errCause, true}, {"text", false}, {struct{}{}, false}} {
		var p any
		func() {
			defer func() { p = recover() }()
			new(singleflight).Do("k", func() (any, error) { panic(c.value) })
		}()
		err, ok := p.(error)
		require.True(t, ok, "%T", p)
		require.Equal(t, c.want, errors.Is(err, errCause))
	}
}

// TestSingleflightSuppressesDuplicates: of ten callers one runs the function, and the
// others wait for it.
func TestSingleflightSuppressesDuplicates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s singleflight
		var calls atomic.Int32
		gate := make(chan string)
		f := func() (any, error) {
			calls.Add(1)
			return <-gate, nil
		}
		var cs []<-chan flightResult
		for range 10 {
			cs = append(cs, s.DoChan("k", f))
		}
		synctest.Wait()
		gate <- "value"
		for _, c := range cs {
			require.Equal(t, flightResult{"value", nil, true}, <-c)
		}
		require.EqualValues(t, 1, calls.Load())
	})
}

// TestSingleflightForgets: a forgotten call continues next to a new one, and a third
// caller joins the new one.
func TestSingleflightForgets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s singleflight
		began := make(chan int)
		gates := []chan struct{}{make(chan struct{}), make(chan struct{})}
		f := func(i int) func() (any, error) {
			return func() (any, error) {
				began <- i
				<-gates[i]
				return i, nil
			}
		}
		first := s.DoChan("k", f(0))
		require.Equal(t, 0, <-began)
		s.g.Forget("k")
		second := s.DoChan("k", f(1))
		require.Equal(t, 1, <-began)
		close(gates[0])
		require.Equal(t, flightResult{0, nil, false}, <-first)
		third := s.DoChan("k", func() (any, error) { t.Error("a third call"); return nil, nil })
		synctest.Wait()
		close(gates[1])
		require.Equal(t, flightResult{1, nil, true}, <-second)
		require.Equal(t, flightResult{1, nil, true}, <-third)
	})
}

// TestSingleflightPanicsInEveryCaller, as with singleflight.
func TestSingleflightPanicsInEveryCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s singleflight
		gate := make(chan struct{})
		var panics, others atomic.Int32
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Add(1)
					}
				}()
				s.Do("k", func() (any, error) { <-gate; panic("no") })
				others.Add(1)
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		require.EqualValues(t, 5, panics.Load())
		require.Zero(t, others.Load())
	})
}

// TestSingleflightGoexitsInEveryCaller, and no caller is stuck.
func TestSingleflightGoexitsInEveryCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s singleflight
		gate := make(chan struct{})
		var ended, returned atomic.Int32
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				defer ended.Add(1)
				s.Do("k", func() (any, error) { <-gate; runtime.Goexit(); return nil, nil })
				returned.Add(1)
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		require.EqualValues(t, 5, ended.Load())
		require.Zero(t, returned.Load())
	})
}
