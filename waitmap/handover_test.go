package waitmap_test

import (
	"bytes"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// crossParker is woken with a panic, or the end of the waker's goroutine.
type crossParker struct {
	wake.Parker
	cross func()
}

func (p crossParker) Wake() {
	p.Parker.Wake()
	p.cross()
}

// TestTakersCrossWaker: the observers of a taker's value are woken although the
// taker's waker panics.
func TestTakersCrossWaker(t *testing.T) {
	for how, cross := range map[string]func(){"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
		t.Run(how, func(t *testing.T) {
			m := new(waitmap.Map[int, int])
			ctx := wake.WithParker(bg, crossParker{wake.NewParker(), cross})
			taker := async(func() (int, error) { return m.Take(ctx, 1) })
			inLine(m, 1, 1)
			woken := make(chan struct{})
			f := m.Register(1, wake.Func(func() { close(woken) }))
			witness := async(func() (int, error) { return m.Wait(bg, 1) })
			inLine(m, 1, 3)
			go func() {
				defer func() { recover() }()
				m.Store(1, 7)
			}()
			requireValue(t, 7, taker)
			requireValue(t, 7, witness)
			<-woken
			v, done, err := f.Result()
			require.True(t, done)
			require.NoError(t, err)
			require.Equal(t, 7, v)
			requireIdle(t, m)
		})
	}
}

// TestCrossWakerOfACompute: the computation's store counts, once, though a
// waker panics out of it.
func TestCrossWakerOfACompute(t *testing.T) {
	m := new(waitmap.Map[int, int])
	m.Register(1, wake.Func(func() { panic("waker") }))
	require.Equal(t, "waker", panicText(t, func() {
		m.Compute(1, func(int, bool) (int, waitmap.Op) { return 7, waitmap.StoreOp })
	}))
	requireContents(t, map[int]int{1: 7}, m)
	m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
	requireContents(t, map[int]int{1: 8}, m)
}

// TestClearDuringACompute counts right.
func TestClearDuringACompute(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for i := range 10 {
			m.Store(i, i)
		}
		held, finish := make(chan struct{}), make(chan struct{})
		computed := async(func() (int, error) {
			v, _ := m.Compute(1, func(old int, _ bool) (int, waitmap.Op) {
				close(held)
				<-finish
				return old, waitmap.KeepOp
			})
			return v, nil
		})
		<-held
		cleared := async(func() (int, error) { m.Clear(); return 0, nil })
		for range 100 { // let it come to the key that is held
			runtime.Gosched()
		}
		close(finish)
		<-computed
		<-cleared
		requireContents(t, map[int]int{}, m)
		m.Store(1, 1)
		requireContents(t, map[int]int{1: 1}, m) // a count below zero would show
	})
}

// hookContext calls hook once, when a wait asks for its error after it left the
// line.
type hookContext struct {
	context.Context
	once sync.Once
	hook func()
}

func (c *hookContext) Err() error {
	err := c.Context.Err()
	var stack [8192]byte
	if err != nil && bytes.Contains(stack[:runtime.Stack(stack[:], false)], []byte("waitq.ContextError")) {
		c.once.Do(c.hook)
	}
	return err
}

// TestGoneTakerKeepsNoValue: a taker that gave up in the instant of the store
// does not keep the value that the next one got, though its memory is the line.
func TestGoneTakerKeepsNoValue(t *testing.T) {
	m := new(waitmap.Map[string, *obj])
	inner, cancel := context.WithCancel(bg)
	var p weak.Pointer[obj]
	ctx := &hookContext{Context: inner, hook: func() {
		var o *obj
		o, p = newObj()
		m.Store("a", o)
	}}
	first := async(func() (*obj, error) { return m.Take(ctx, "a") })
	inLine(m, "a", 1)
	second := async(func() (*obj, error) { return m.Take(bg, "a") })
	inLine(m, "a", 2)
	third := async(func() (*obj, error) { return m.Take(bg, "a") })
	inLine(m, "a", 3)
	cancel()
	requireError(t, context.Canceled, first)
	func() {
		r := <-second
		require.NoError(t, r.err)
		require.NotNil(t, r.v)
	}()
	requireFreed(t, p, "a value that was taken")
	require.Equal(t, 1, m.CancelAll())
	requireError(t, waitmap.ErrCanceled, third)
}

// TestStressTakersAreServedInOrder: also takers behind some that give up, while
// the table is replaced.
func TestStressTakersAreServedInOrder(t *testing.T) {
	for range testkit.Scale(200, 25) {
		m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1})
		stop := churn(m)
		const takers = 12
		var got [takers]<-chan result[int]
		var cancels [takers]context.CancelFunc
		for i := range takers {
			ctx, cancel := context.WithCancel(bg)
			cancels[i] = cancel
			got[i] = async(func() (int, error) { return m.Take(ctx, 1) })
			inLine(m, 1, i+1)
		}
		go func() {
			for i := 0; i < takers; i += 3 {
				cancels[i]()
				runtime.Gosched()
			}
		}()
		for i := range takers {
			m.Swap(1, i)
			m.LoadAndDelete(1)
		}
		last := -1
		for i := range takers {
			m.Cancel(1) // a taker without a value: values went while it waited behind others
			r := <-got[i]
			cancels[i]()
			if r.err == nil {
				require.Greater(t, r.v, last, "taker %d", i)
				last = r.v
			}
		}
		stop()
	}
}

// churn has the map's tables replaced until stop is called.
func churn(m *waitmap.Map[int, int]) (stop func()) {
	var done atomic.Bool
	var g sync.WaitGroup
	g.Go(func() {
		for i := 0; !done.Load(); i++ {
			m.Store(100+i%500, i)
			if i%400 == 0 {
				m.Clear()
			}
		}
	})
	return func() {
		done.Store(true)
		g.Wait()
	}
}
