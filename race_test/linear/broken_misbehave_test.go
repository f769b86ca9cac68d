package linear_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// Broken subjects that fail only with misbehaving clients, or with several stores
// between two looks.
func init() {
	faults = append(faults,
		onMisbehavingMap("WaitFor in no line between two looks", "bursts", func(m store) store { return gapFor{m} }),
		onMisbehavingMap("Take dies with the value", "takes", func(m store) store { return dyingTake{m} }),
		onMisbehavingMap("Take dies, and its value goes over a newer one", "takes", func(m store) store { return pushyTake{m} }),
		onMisbehavingMap("Compute stores before its function returned", "functions", func(m store) store { return hastyCompute{m} }),
		fault{"Wait dies with the wake", notifySpec, func(t *testing.T, seed int64) []op {
			n := dyingWait{ringer{new(notify.Notify)}}
			return inBubble(t, misbehavingNotifyPlan(n, misbehavingNotifyMixes["permits"]), seed)
		}})
}

func onMisbehavingMap(name, mix string, breakIt func(store) store) fault {
	return fault{name, mapSpec, recorder(func() plan { return misbehavingMapPlan(breakIt(stores[1].make()), misbehavingMapMixes[mix]) })}
}

// parkLate calls the context's parker after everything else is done.
func parkLate(ctx context.Context) {
	p := wake.ParkerFrom(ctx)
	p.Wake()
	_ = p.Park(ctx)
}

type dyingTake struct{ store }

func (m dyingTake) Take(ctx context.Context, k int) (int, error) {
	v, err := m.store.Take(wake.WithParker(ctx, nil), k)
	if err == nil {
		parkLate(ctx)
	}
	return v, err
}

type pushyTake struct{ store }

func (m pushyTake) Take(ctx context.Context, k int) (v int, err error) {
	returned := false
	v, err = m.store.Take(wake.WithParker(ctx, nil), k)
	defer func() {
		if !returned {
			runtime.Gosched()
			m.Store(k, v)
		}
	}()
	if err == nil {
		parkLate(ctx)
	}
	returned = true
	return v, err
}

type hastyCompute struct{ store }

func (m hastyCompute) LoadOrCompute(k int, f func() (int, error)) (int, bool, error) {
	if _, there := m.LoadOrStore(k, 2); there {
		return m.store.LoadOrCompute(k, f)
	}
	v, err := f()
	m.Store(k, v)
	return v, false, err
}

type dyingWait struct{ ringer }

func (n dyingWait) Wait(ctx context.Context) error {
	err := n.ringer.Wait(wake.WithParker(ctx, nil))
	if err == nil {
		parkLate(ctx)
	}
	return err
}
