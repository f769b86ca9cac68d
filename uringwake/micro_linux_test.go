package uringwake_test

import (
	"context"
	"testing"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

func BenchmarkHandOff(b *testing.B) {
	l := newLoop(b, nil)
	var m waitmap.Map[int, int]
	run(b, l, func(ctx context.Context) {
		l.Go(ctx, func(ctx context.Context) {
			for i := 1; i < b.N; i += 2 {
				m.Take(ctx, 1)
				m.Store(2, i)
			}
		})
		b.ResetTimer()
		for i := 1; i < b.N; i += 2 {
			m.Store(1, i)
			m.Take(ctx, 2)
		}
	})
}

func BenchmarkNopGoroutine(b *testing.B) {
	newLoop(b, nil)
	ctx := context.Background()
	for b.Loop() {
		uringwake.Nop(ctx)
	}
}

func BenchmarkNopTask(b *testing.B) {
	l := newLoop(b, nil)
	run(b, l, func(ctx context.Context) {
		for range b.N {
			uringwake.Nop(ctx)
		}
	})
}

func BenchmarkPipePingPongGoroutines(b *testing.B) {
	newLoop(b, nil)
	p, q := pipe(b), pipe(b)
	ctx := context.Background()
	go func() {
		buf := make([]byte, 1)
		for {
			if n, err := uringwake.Read(ctx, p[0], buf, -1); n != 1 || err != nil {
				return
			}
			uringwake.Write(ctx, q[1], buf, -1)
		}
	}()
	buf := make([]byte, 1)
	for b.Loop() {
		uringwake.Write(ctx, p[1], buf, -1)
		uringwake.Read(ctx, q[0], buf, -1)
	}
	uringwake.Close(ctx, p[1])
}

func BenchmarkNopTasks64(b *testing.B) {
	l := newLoop(b, nil)
	run(b, l, func(ctx context.Context) {
		var done waitgroup.Group
		for range 64 {
			done.Add(1)
			l.Go(ctx, func(ctx context.Context) {
				defer done.Done()
				for range b.N / 64 {
					uringwake.Nop(ctx)
				}
			})
		}
		done.Wait(ctx)
	})
}

func BenchmarkParkWake(b *testing.B) {
	l := newLoop(b, nil)
	run(b, l, func(ctx context.Context) {
		a := uringwake.TaskFrom(ctx)
		var other *uringwake.Task
		l.Go(ctx, func(ctx context.Context) {
			other = uringwake.TaskFrom(ctx)
			a.Wake()
			for i := 1; i < b.N; i += 2 {
				other.Park(ctx)
				a.Wake()
			}
		})
		a.Park(ctx)
		for i := 1; i < b.N; i += 2 {
			other.Wake()
			a.Park(ctx)
		}
	})
}

func BenchmarkNotifyTasks(b *testing.B) {
	l := newLoop(b, nil)
	var n, m notify.Notify
	run(b, l, func(ctx context.Context) {
		l.Go(ctx, func(ctx context.Context) {
			for i := 1; i < b.N; i += 2 {
				n.Wait(ctx)
				m.NotifyOne()
			}
		})
		for i := 1; i < b.N; i += 2 {
			n.NotifyOne()
			m.Wait(ctx)
		}
	})
}
