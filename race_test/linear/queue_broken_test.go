package linear_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// Queues that are broken on purpose, each in one way.
func init() {
	faults = append(faults,
		onQueues("Take: the context wins over the value", "waits", func(q *await.Queue[int]) shelf { return politeShelf{q} }),
		onQueues("Put that failed has put", "waits", func(q *await.Queue[int]) shelf { return pushyShelf{q} }),
		onQueues("Take gives the second value", "waits", func(q *await.Queue[int]) shelf { return secondShelf{q} }),
		onQueues("TryTake returns a value to the end", "waits", func(q *await.Queue[int]) shelf { return rotatingShelf{q} }),
		onQueues("Take gives a value and an error", "waits", func(q *await.Queue[int]) shelf { return staleShelf{q} }),
		onQueues("Close drops the values", "closing", func(q *await.Queue[int]) shelf { return droppingShelf{q} }),
		onQueues("Close closes nothing", "closing", func(q *await.Queue[int]) shelf { return openShelf{q} }),
		onQueues("TryPut after Close drops the value", "closing", func(q *await.Queue[int]) shelf { return lyingShelf{q} }),
		onQueues("Take dies with the value", "deaths", func(q *await.Queue[int]) shelf { return dyingShelf{q} }),
		onQueues("Take dies, and its value goes to the end", "deaths", func(q *await.Queue[int]) shelf { return untidyShelf{q} }),
		onQueues("OnTake gives the zero value", "selects", func(q *await.Queue[int]) shelf { return zeroShelf{q} }),
		onSelect("Select: the context wins over the case", politeSelect),
		onSelect("Select is in one line only", firstSelect),
		onSelect("Select makes both cases happen", bothSelect),
	)
}

func onQueues(name, mix string, breakIt func(*await.Queue[int]) shelf) fault {
	return fault{name, queueSpec, recorder(func() plan { return newQueueUse(queueMixes[mix], breakIt).plan() })}
}

func onSelect(name string, pick func(ctx context.Context, cases ...wake.Case) (int, error)) fault {
	return fault{name, queueSpec, func(t *testing.T, seed int64) []op {
		u := newQueueUse(queueMixes["selects"], sound)
		u.pick = pick
		return inBubble(t, u.plan(), seed)
	}}
}

type politeShelf struct{ *await.Queue[int] }

func (q politeShelf) Take(ctx context.Context) (int, error) {
	v, err := q.Queue.Take(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return v, err
}

type pushyShelf struct{ *await.Queue[int] }

func (q pushyShelf) Put(ctx context.Context, v int) error {
	err := q.Queue.Put(ctx, v)
	if err != nil {
		q.TryPut(v)
	}
	return err
}

type secondShelf struct{ *await.Queue[int] }

func (q secondShelf) Take(ctx context.Context) (int, error) {
	v, err := q.Queue.Take(ctx)
	if next, ok := q.Queue.TryTake(); ok && err == nil && q.TryPut(v) {
		return next, nil
	} else if ok {
		q.TryPut(next)
	}
	return v, err
}

type rotatingShelf struct{ *await.Queue[int] }

func (q rotatingShelf) TryTake() (int, bool) {
	if v, ok := q.Queue.TryTake(); ok {
		q.TryPut(v)
	}
	return q.Queue.TryTake()
}

type staleShelf struct{ *await.Queue[int] }

func (q staleShelf) Take(ctx context.Context) (int, error) {
	v, err := q.Queue.Take(ctx)
	if err != nil {
		v = 1
	}
	return v, err
}

type droppingShelf struct{ *await.Queue[int] }

func (q droppingShelf) Close() error {
	for ok := true; ok; {
		_, ok = q.Queue.TryTake()
	}
	return q.Queue.Close()
}

type openShelf struct{ *await.Queue[int] }

func (q openShelf) Close() error { return nil }

type lyingShelf struct{ *await.Queue[int] }

func (q lyingShelf) TryPut(v int) bool { return q.Queue.TryPut(v) || q.Len() < q.Cap() }

type dyingShelf struct{ *await.Queue[int] }

func (q dyingShelf) Take(ctx context.Context) (int, error) {
	v, err := q.Queue.Take(wake.WithParker(ctx, nil))
	if err == nil {
		parkLate(ctx)
	}
	return v, err
}

type untidyShelf struct{ *await.Queue[int] }

func (q untidyShelf) Take(ctx context.Context) (v int, err error) {
	returned := false
	v, err = q.Queue.Take(wake.WithParker(ctx, nil))
	defer func() {
		if !returned {
			runtime.Gosched()
			q.TryPut(v)
		}
	}()
	if err == nil {
		parkLate(ctx)
	}
	returned = true
	return v, err
}

type zeroShelf struct{ *await.Queue[int] }

func (q zeroShelf) OnTake(*int) wake.Case { return q.Queue.OnTake(nil) }

func politeSelect(ctx context.Context, cases ...wake.Case) (int, error) {
	chosen, err := await.Select(ctx, cases...)
	if ctx.Err() != nil {
		return -1, ctx.Err()
	}
	return chosen, err
}

func firstSelect(ctx context.Context, cases ...wake.Case) (int, error) {
	return await.Select(ctx, cases[0])
}

func bothSelect(ctx context.Context, cases ...wake.Case) (int, error) {
	chosen, err := await.Select(ctx, cases...)
	if err == nil {
		over, end := context.WithCancel(context.Background())
		go end()
		_, _ = await.Select(over, cases[1-chosen])
	}
	return chosen, err
}
