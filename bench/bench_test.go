// Package bench has one benchmark per row for `go test -bench`, for a quick look
// and for profiles. The published numbers come from cmd/report, which measures
// rivals in turns.
package bench

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/bench/rivals"
	"github.com/vigil-go/vigil/waitmap"
)

func BenchmarkMix(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		name := map[int]string{1000: "1k", 1_000_000: "1M"}[n]
		b.Run("int/"+name, func(b *testing.B) { benchMakers(b, func() []int { return rivals.IntKeys(n) }) })
		b.Run("str/"+name, func(b *testing.B) { benchMakers(b, func() []string { return rivals.StringKeys(n) }) })
	}
}

func benchMakers[K rivals.Key](b *testing.B, makeKeys func() []K) {
	keys := makeKeys()
	for _, maker := range rivals.Makers[K, int]() {
		b.Run(maker.Name, func(b *testing.B) {
			m := maker.New(len(keys))
			m.Fill(keys, rivals.IntValues())
			for _, mix := range []rivals.Mix{100, 99, 90, 50} {
				if mix == 100 || !maker.ReadOnly {
					b.Run(map[rivals.Mix]string{100: "100", 99: "99", 90: "90", 50: "50"}[mix], func(b *testing.B) {
						benchMix(b, m, keys, mix)
					})
				}
			}
		})
	}
}

func benchMix[K rivals.Key](b *testing.B, m rivals.Map[K, int], keys []K, mix rivals.Mix) {
	vals := rivals.IntValues()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w := rivals.NewWorker(0, keys, vals, mix)
		for pb.Next() {
			m.Mix(w, 1)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	keys := rivals.IntKeys(100_000)
	for _, maker := range rivals.Makers[int, int]() {
		if maker.ReadOnly {
			continue
		}
		b.Run(maker.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				maker.New(0).Fill(keys, rivals.IntValues())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/entry")
		})
	}
}

func BenchmarkWalk(b *testing.B) {
	keys := rivals.IntKeys(100_000)
	for _, maker := range rivals.Makers[int, int]() {
		b.Run(maker.Name, func(b *testing.B) {
			m := maker.New(len(keys))
			m.Fill(keys, rivals.IntValues())
			for b.Loop() {
				m.Walk()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/entry")
		})
	}
}

func BenchmarkWaitOnPresent(b *testing.B) {
	m := waitmap.New[int, int](nil)
	keys := rivals.IntKeys(1000)
	for _, key := range keys {
		m.Store(key, key)
	}
	w := rivals.NewWorker(0, keys, rivals.IntValues(), 100)
	b.Run("Load", func(b *testing.B) { b.ReportAllocs(); rivals.LoadAll(m, w, b.N) })
	b.Run("Wait", func(b *testing.B) { b.ReportAllocs(); rivals.WaitAll(context.Background(), m, w, b.N) })
}

func BenchmarkRegister(b *testing.B) {
	m := waitmap.New[int, int](nil)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := m.Register(i, nil)
		m.Store(i, i)
		_, done, _ := f.Result()
		require.True(b, done)
		m.Delete(i)
	}
}
