package bench

import (
	"context"
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// These benchmarks of package await are for profiles. With -cpu 1 nothing waits. Ping-pong
// is in cmd/report only.

func BenchmarkLock(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("sync.Mutex", func(b *testing.B) {
		var m sync.Mutex
		count := 0
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				m.Lock()
				count++
				m.Unlock()
			}
		})
	})
	b.Run("channel", func(b *testing.B) {
		c := make(chan struct{}, 1)
		count := 0
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				select {
				case c <- struct{}{}:
				case <-ctx.Done():
				}
				count++
				<-c
			}
		})
	})
	b.Run("vigil", func(b *testing.B) {
		var m await.Mutex
		count := 0
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if m.Lock(ctx) == nil {
					count++
					m.Unlock()
				}
			}
		})
	})
}

func BenchmarkRLock(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("sync.RWMutex", func(b *testing.B) {
		var m sync.RWMutex
		ever := true
		parallel(b, func(pb *testing.PB) {
			for on := true; on && pb.Next(); {
				m.RLock()
				on = ever
				m.RUnlock()
			}
		})
	})
	b.Run("vigil", func(b *testing.B) {
		var m await.RWMutex
		ever := true
		parallel(b, func(pb *testing.PB) {
			for on := true; on && pb.Next(); {
				if m.RLock(ctx) == nil {
					on = ever
					m.RUnlock()
				}
			}
		})
	})
}

func BenchmarkAcquire(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("semaphore", func(b *testing.B) {
		s := semaphore.NewWeighted(10)
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if s.Acquire(ctx, 3) == nil {
					s.Release(3)
				}
			}
		})
	})
	b.Run("vigil", func(b *testing.B) {
		s := await.NewSemaphore(10)
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if s.Acquire(ctx, 3) == nil {
					s.Release(3)
				}
			}
		})
	})
}

// BenchmarkQueue puts a value and takes one, so that no queue is full and none empty for
// long.
func BenchmarkQueue(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("channel", func(b *testing.B) {
		c := make(chan int, 128)
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				select {
				case c <- 1:
				case <-ctx.Done():
				}
				select {
				case <-c:
				case <-ctx.Done():
				}
			}
		})
	})
	b.Run("vigil", func(b *testing.B) {
		q := await.NewQueue[int](128)
		parallel(b, func(pb *testing.PB) {
			for pb.Next() {
				if q.Put(ctx, 1) == nil {
					_, _ = q.Take(ctx)
				}
			}
		})
	})
}

// BenchmarkSelect has two cases, the second of which is possible at once.
func BenchmarkSelect(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("select", func(b *testing.B) {
		b.ReportAllocs()
		never, ready := make(chan int), make(chan int, 1)
		for b.Loop() {
			ready <- 1
			select {
			case <-never:
			case <-ready:
			case <-ctx.Done():
			}
		}
	})
	b.Run("vigil", func(b *testing.B) {
		b.ReportAllocs()
		never, ready := await.NewQueue[int](1), await.NewQueue[int](1)
		cases := []wake.Case{never.OnTake(nil), ready.OnTake(nil)}
		for b.Loop() {
			ready.TryPut(1)
			if _, err := await.Select(ctx, cases...); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// parallel runs body in as many goroutines as -cpu says.
func parallel(b *testing.B, body func(pb *testing.PB)) {
	b.ReportAllocs()
	b.RunParallel(body)
}
