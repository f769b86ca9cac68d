package measure_test

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/vigil-go/vigil/bench/measure"
)

func TestInterleaveRotatesTheOrder(t *testing.T) {
	var order strings.Builder
	subject := func(name string, value float64) measure.Subject {
		return measure.Subject{Name: name, Run: func(time.Duration) measure.Sample {
			order.WriteString(name)
			return measure.Sample{Value: value, Alloc: 2 * value}
		}}
	}
	series := measure.Interleave([]measure.Subject{subject("a", 1), subject("b", 2), subject("c", 3)}, 4, 0)
	assert.Equal(t, "abc"+"bca"+"cab"+"abc", order.String())
	assert.Equal(t, "b", series[1].Name)
	assert.Equal(t, []float64{2, 2, 2, 2}, series[1].Values)
	assert.Equal(t, 4.0, series[1].Alloc)
}

func TestSliceCountsEveryWorker(t *testing.T) {
	var batches [3]atomic.Int64
	const d = 20 * time.Millisecond
	s := measure.Slice(3, d, func(w int) int {
		batches[w].Add(1)
		time.Sleep(time.Millisecond)
		return 10
	})
	for w := range batches {
		assert.Positive(t, batches[w].Load())
	}
	total := 10 * (batches[0].Load() + batches[1].Load() + batches[2].Load())
	assert.GreaterOrEqual(t, s.Value, float64(d)/float64(total), "the wall time is at least the slice, for at most that many operations")
}

func TestOnceTellsTimeAndBytesPerOperation(t *testing.T) {
	var keep []byte
	s := measure.Once(4, func() {
		keep = make([]byte, 4<<20)
		time.Sleep(4 * time.Millisecond)
	})
	runtime.KeepAlive(keep)
	assert.GreaterOrEqual(t, s.Value, 1e6)
	assert.InEpsilon(t, 1<<20, s.Alloc, 0.1)
}

func TestWithProcsRestores(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	measure.WithProcs(3, func() { assert.Equal(t, 3, runtime.GOMAXPROCS(0)) })
	assert.Equal(t, before, runtime.GOMAXPROCS(0))
}

func TestThisMachineKnowsItself(t *testing.T) {
	m := measure.ThisMachine("x")
	assert.NotEmpty(t, m.CPU)
	assert.NotEmpty(t, m.System)
	assert.Positive(t, m.Cores)
}
