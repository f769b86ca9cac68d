package linear_test

import (
	"context"
	"strconv"
	"strings"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// The operations of a computation: waitmap's Ops as arguments of a call.
const (
	opKeep   = int(waitmap.KeepOp)
	opSet    = int(waitmap.StoreOp)
	opRemove = int(waitmap.DeleteOp)
)

// A store is a map of numbers to numbers: a Map with any types, or a broken one.
type store interface {
	Load(k int) (int, bool)
	Store(k, v int)
	Swap(k, v int) (int, bool)
	LoadOrStore(k, v int) (int, bool)
	Delete(k int)
	LoadAndDelete(k int) (int, bool)
	CompareAndSwap(k, old, new int) bool
	CompareAndDelete(k, old int) bool
	Compute(k int, f func(old int, loaded bool) (int, waitmap.Op)) (int, bool)
	Wait(ctx context.Context, k int) (int, error)
	WaitNext(ctx context.Context, k int) (int, error)
	WaitFor(ctx context.Context, k int, ok func(int) bool) (int, error)
	WaitCompute(ctx context.Context, k int, f func(old int) (int, waitmap.Op)) (int, error)
	Take(ctx context.Context, k int) (int, error)
	LoadOrCompute(k int, f func() (int, error)) (int, bool, error)
	Register(k int, w wake.Waker) future
	Cancel(k int) int
	CancelCause(k int, cause error) int
	CancelAll() int
	Close() error
	Clear()
	Range(f func(k, v int) bool)
}

// A future is a Future of numbers.
type future interface {
	Wait(ctx context.Context) (int, error)
	Result() (v int, done bool, err error)
	Stop() bool
}

// face makes a store of a Map.
type face[K, V comparable] struct {
	m    *waitmap.Map[K, V]
	key  func(int) K
	back func(K) int
	val  func(int) V
	num  func(V) int
}

// maybe returns the result of a look. Without ok the value must be zero; any other
// value is kept in the history.
func (f face[K, V]) maybe(v V, ok bool) (int, bool) {
	var none V
	if !ok && v == none {
		return 0, false
	}
	return f.num(v), ok
}

func (f face[K, V]) waited(v V, err error) (int, error) {
	n, _ := f.maybe(v, err == nil)
	return n, err
}

func (f face[K, V]) Load(k int) (int, bool)    { return f.maybe(f.m.Load(f.key(k))) }
func (f face[K, V]) Store(k, v int)            { f.m.Store(f.key(k), f.val(v)) }
func (f face[K, V]) Swap(k, v int) (int, bool) { return f.maybe(f.m.Swap(f.key(k), f.val(v))) }
func (f face[K, V]) Delete(k int)              { f.m.Delete(f.key(k)) }
func (f face[K, V]) Cancel(k int) int          { return f.m.Cancel(f.key(k)) }
func (f face[K, V]) CancelAll() int            { return f.m.CancelAll() }
func (f face[K, V]) Close() error              { return f.m.Close() }
func (f face[K, V]) Clear()                    { f.m.Clear() }

func (f face[K, V]) CancelCause(k int, cause error) int { return f.m.CancelCause(f.key(k), cause) }

func (f face[K, V]) LoadAndDelete(k int) (int, bool) {
	return f.maybe(f.m.LoadAndDelete(f.key(k)))
}

func (f face[K, V]) LoadOrStore(k, v int) (int, bool) {
	actual, loaded := f.m.LoadOrStore(f.key(k), f.val(v))
	return f.num(actual), loaded
}

func (f face[K, V]) CompareAndSwap(k, old, new int) bool {
	return waitmap.CompareAndSwap(f.m, f.key(k), f.val(old), f.val(new))
}

func (f face[K, V]) CompareAndDelete(k, old int) bool {
	return waitmap.CompareAndDelete(f.m, f.key(k), f.val(old))
}

func (f face[K, V]) Compute(k int, g func(int, bool) (int, waitmap.Op)) (int, bool) {
	v, ok := f.m.Compute(f.key(k), func(old V, loaded bool) (V, waitmap.Op) {
		was, _ := f.maybe(old, loaded)
		v, op := g(was, loaded)
		return f.val(v), op
	})
	return f.maybe(v, ok) // with DeleteOp it returns the old value, if there was one
}

func (f face[K, V]) Wait(ctx context.Context, k int) (int, error) {
	return f.waited(f.m.Wait(ctx, f.key(k)))
}

func (f face[K, V]) WaitNext(ctx context.Context, k int) (int, error) {
	return f.waited(f.m.WaitNext(ctx, f.key(k)))
}

func (f face[K, V]) WaitFor(ctx context.Context, k int, ok func(int) bool) (int, error) {
	return f.waited(f.m.WaitFor(ctx, f.key(k), func(v V) bool { return ok(f.num(v)) }))
}

func (f face[K, V]) WaitCompute(ctx context.Context, k int, g func(int) (int, waitmap.Op)) (int, error) {
	return f.waited(f.m.WaitCompute(ctx, f.key(k), func(old V) (V, waitmap.Op) {
		v, op := g(f.num(old))
		return f.val(v), op
	}))
}

func (f face[K, V]) Take(ctx context.Context, k int) (int, error) {
	return f.waited(f.m.Take(ctx, f.key(k)))
}

func (f face[K, V]) LoadOrCompute(k int, g func() (int, error)) (int, bool, error) {
	v, loaded, err := f.m.LoadOrCompute(f.key(k), func() (V, error) {
		v, err := g()
		return f.val(v), err
	})
	n, err := f.waited(v, err)
	return n, loaded, err
}

func (f face[K, V]) Register(k int, w wake.Waker) future {
	return facedFuture[K, V]{f, f.m.Register(f.key(k), w)}
}

type facedFuture[K, V comparable] struct {
	f face[K, V]
	*waitmap.Future[V]
}

func (u facedFuture[K, V]) Wait(ctx context.Context) (int, error) {
	return u.f.waited(u.Future.Wait(ctx))
}

func (u facedFuture[K, V]) Result() (int, bool, error) {
	v, done, err := u.Future.Result()
	n, _ := u.f.maybe(v, done && err == nil)
	return n, done, err
}

func (f face[K, V]) Range(g func(k, v int) bool) {
	f.m.Range(func(k K, v V) bool { return g(f.back(k), f.num(v)) })
}

func same(i int) int { return i }

func text(i int) string { return strings.Repeat("x", 9) + strconv.Itoa(i) }

func number(s string) int {
	n, _ := strconv.Atoi(strings.TrimLeft(s, "x"))
	return n
}

// numbers is the array that pointers to numbers point into.
var numbers [1 << 14]int

func init() {
	for i := range numbers {
		numbers[i] = i
	}
}

// stores are maps whose values are in the table, behind a pointer, or a pointer;
// some with more shards than needed, and some with all keys in the same groups.
var stores = []struct {
	name string
	make func() store
}{
	{"numbers", func() store {
		return face[int, int]{new(waitmap.Map[int, int]), same, same, same, same}
	}},
	{"numbers, one shard", func() store {
		m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1})
		return face[int, int]{m, same, same, same, same}
	}},
	{"strings, one shard", func() store {
		m := waitmap.New[string, string](&waitmap.Options[string]{Shards: 1})
		return face[string, string]{m, text, number, text, number}
	}},
	{"pointers, colliding", func() store {
		m := waitmap.New[int, *int](&waitmap.Options[int]{Shards: 1, Hash: func(k int, _ uint64) uint64 { return uint64(k % 2) }})
		return face[int, *int]{m, same, same, func(i int) *int { return &numbers[i] }, func(p *int) int { return *p }}
	}},
}
