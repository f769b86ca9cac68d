package linear_test

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
)

func onValue(name, mix string, breakIt func(*await.Value[int]) watched) fault {
	return fault{name, valueSpec, recorder(func() plan { return valuePlan(breakIt(new(await.Value[int])), valueMixes[mix]) })}
}

var valueFaults = []fault{
	onValue("WaitNewer without the second look", "waits", func(v *await.Value[int]) watched { return sleepy{v} }),
	onValue("WaitNewer: the context wins over the version", "waits", func(v *await.Value[int]) watched { return politeNewer{v} }),
	onValue("WaitNewer gives a value and an error", "waits", func(v *await.Value[int]) watched { return staleNewer{v} }),
	onValue("WaitNewer for a later version ends with the next", "waits", func(v *await.Value[int]) watched { return hastyNewer{v} }),
	onValue("WaitNewer repeats a version", "waits", func(v *await.Value[int]) watched { return repeating{v} }),
	onValue("Update in two steps", "changes", func(v *await.Value[int]) watched { return twoUpdates{v} }),
	onValue("Load goes back", "changes", func(v *await.Value[int]) watched { return &backward{Value: v} }),
	onValue("an Update that dies stores", "changes", func(v *await.Value[int]) watched { return deadStore{v} }),
}

type sleepy struct{ *await.Value[int] }

func (v sleepy) WaitNewer(ctx context.Context, version uint64) (int, uint64, error) {
	if x, n := v.Load(); n > version {
		return x, n, nil
	}
	runtime.Gosched()
	_, n := v.Load()
	return v.Value.WaitNewer(ctx, max(n, version))
}

type politeNewer struct{ *await.Value[int] }

func (v politeNewer) WaitNewer(ctx context.Context, version uint64) (int, uint64, error) {
	x, n, err := v.Value.WaitNewer(ctx, version)
	if ctx.Err() != nil {
		return 0, 0, ctx.Err()
	}
	return x, n, err
}

type staleNewer struct{ *await.Value[int] }

func (v staleNewer) WaitNewer(ctx context.Context, version uint64) (int, uint64, error) {
	x, n, err := v.Value.WaitNewer(ctx, version)
	if err != nil {
		x, n = v.Load()
	}
	return x, n, err
}

type hastyNewer struct{ *await.Value[int] }

func (v hastyNewer) WaitNewer(ctx context.Context, version uint64) (int, uint64, error) {
	_, n := v.Load()
	return v.Value.WaitNewer(ctx, min(n, version))
}

type repeating struct{ *await.Value[int] }

func (v repeating) WaitNewer(ctx context.Context, version uint64) (int, uint64, error) {
	if x, n := v.Load(); n == version && n > 0 {
		return x, n, nil
	}
	return v.Value.WaitNewer(ctx, version)
}

type twoUpdates struct{ *await.Value[int] }

func (v twoUpdates) Update(f func(int) int) (int, uint64) {
	x, _ := v.Load()
	x = f(x)
	runtime.Gosched()
	return x, v.Store(x)
}

type backward struct {
	*await.Value[int]
	loads atomic.Int64
	old   atomic.Pointer[[2]int]
}

func (v *backward) Load() (int, uint64) {
	x, n := v.Value.Load()
	if v.loads.Add(1)%4 != 0 {
		v.old.Store(&[2]int{x, int(n)})
	} else if old := v.old.Load(); old != nil {
		return old[0], uint64(old[1])
	}
	return x, n
}

type deadStore struct{ *await.Value[int] }

func (v deadStore) Update(f func(int) int) (x int, n uint64) {
	x, _ = v.Load()
	done := false
	defer func() {
		if !done {
			v.Store(x)
		}
	}()
	x, n = v.Value.Update(f)
	done = true
	return x, n
}
