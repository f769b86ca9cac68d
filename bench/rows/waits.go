package rows

import (
	"context"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// lines are tables of ping-pong over n primitives of one kind on each side. Message i
// takes number i modulo n, which is a power of two. The side that receives waits for the
// primitive itself (queueWaits and others), or by a Select over the cases of
// all of the side (queueSelects and so on), which are used again and again.
//
// Each side waits under a context of its own, so that one may be a task.
type lines[P any] struct {
	sides [2][]P
	cases [2][]wake.Case
	ctx   [2]context.Context
}

// newLines returns lines of n primitives on each side. Open makes one and its case.
func newLines[P any](ctx context.Context, n int, open func(side int) (P, wake.Case)) lines[P] {
	l := lines[P]{ctx: [2]context.Context{ctx, ctx}}
	for side := range l.sides {
		for range n {
			p, c := open(side)
			l.sides[side], l.cases[side] = append(l.sides[side], p), append(l.cases[side], c)
		}
	}
	return l
}

func (l *lines[P]) under(side int, ctx context.Context) { l.ctx[side] = ctx }

func (l *lines[P]) close() {}

// at returns the number of the primitive that message i takes.
func at[P any](i int, of []P) int { return i & (len(of) - 1) }

// same panics if a message has come by another way than it was sent, or is another one.
func same(got, want int) {
	if got != want {
		panic("rows: not the message that was sent")
	}
}

// A queueWaits puts and takes. The queues have a capacity of one.
type queueWaits struct{ lines[*await.Queue[int]] }

func newQueueWaits(ctx context.Context) *queueWaits {
	return &queueWaits{newLines(ctx, 1, func(int) (*await.Queue[int], wake.Case) {
		return await.NewQueue[int](1), nil
	})}
}

func (t *queueWaits) send(i, side int) {
	queues := t.sides[side]
	mustNot(queues[at(i, queues)].Put(t.ctx[1-side], i))
}

func (t *queueWaits) receive(i, side int) {
	queues := t.sides[side]
	v, err := queues[at(i, queues)].Take(t.ctx[side])
	mustNot(err)
	same(v, i)
}

// A queueSelects puts, and takes by a Select.
type queueSelects struct {
	lines[*await.Queue[int]]
	got [2]*int
}

func newQueueSelects(ctx context.Context, n int) *queueSelects {
	t := &queueSelects{got: [2]*int{new(int), new(int)}}
	t.lines = newLines(ctx, n, func(side int) (*await.Queue[int], wake.Case) {
		q := await.NewQueue[int](1)
		return q, q.OnTake(t.got[side])
	})
	return t
}

func (t *queueSelects) send(i, side int) {
	queues := t.sides[side]
	mustNot(queues[at(i, queues)].Put(t.ctx[1-side], i))
}

func (t *queueSelects) receive(i, side int) {
	cases := t.cases[side]
	chosen, err := await.Select(t.ctx[side], cases...)
	mustNot(err)
	same(chosen, at(i, cases))
	same(*t.got[side], i)
}

// A semaWaits releases and acquires. The one permit of each semaphore is held while no
// message is under way.
type semaWaits struct{ lines[*await.Semaphore] }

func newSemaWaits(ctx context.Context) *semaWaits { return &semaWaits{newSemaLines(ctx, 1)} }

func newSemaLines(ctx context.Context, n int) lines[*await.Semaphore] {
	return newLines(ctx, n, func(int) (*await.Semaphore, wake.Case) {
		s := await.NewSemaphore(1)
		s.TryAcquire(1)
		return s, s.OnAcquire(1)
	})
}

func (t *semaWaits) send(i, side int) {
	semas := t.sides[side]
	semas[at(i, semas)].Release(1)
}

func (t *semaWaits) receive(i, side int) {
	semas := t.sides[side]
	mustNot(semas[at(i, semas)].Acquire(t.ctx[side], 1))
}

// A semaSelects releases, and acquires by a Select.
type semaSelects struct{ lines[*await.Semaphore] }

func newSemaSelects(ctx context.Context, n int) *semaSelects {
	return &semaSelects{newSemaLines(ctx, n)}
}

func (t *semaSelects) send(i, side int) {
	semas := t.sides[side]
	semas[at(i, semas)].Release(1)
}

func (t *semaSelects) receive(i, side int) {
	cases := t.cases[side]
	chosen, err := await.Select(t.ctx[side], cases...)
	mustNot(err)
	same(chosen, at(i, cases))
}

// A mutexWaits unlocks and locks. The mutexes are locked while no message is under way.
type mutexWaits struct{ lines[*await.Mutex] }

func newMutexWaits(ctx context.Context) *mutexWaits { return &mutexWaits{newMutexLines(ctx, 1)} }

func newMutexLines(ctx context.Context, n int) lines[*await.Mutex] {
	return newLines(ctx, n, func(int) (*await.Mutex, wake.Case) {
		m := new(await.Mutex)
		m.TryLock()
		return m, m.OnLock()
	})
}

func (t *mutexWaits) send(i, side int) {
	mutexes := t.sides[side]
	mutexes[at(i, mutexes)].Unlock()
}

func (t *mutexWaits) receive(i, side int) {
	mutexes := t.sides[side]
	mustNot(mutexes[at(i, mutexes)].Lock(t.ctx[side]))
}

// A mutexSelects unlocks, and locks by a Select.
type mutexSelects struct{ lines[*await.Mutex] }

func newMutexSelects(ctx context.Context, n int) *mutexSelects {
	return &mutexSelects{newMutexLines(ctx, n)}
}

func (t *mutexSelects) send(i, side int) {
	mutexes := t.sides[side]
	mutexes[at(i, mutexes)].Unlock()
}

func (t *mutexSelects) receive(i, side int) {
	cases := t.cases[side]
	chosen, err := await.Select(t.ctx[side], cases...)
	mustNot(err)
	same(chosen, at(i, cases))
}

// A mapWaits stores and takes. Message i has the key i modulo the number of keys; the
// two sides have maps of their own.
type mapWaits struct {
	lines[int]
	maps [2]*waitmap.Map[int, int]
	got  [2]*int
}

func newMapWaits(ctx context.Context, n int) *mapWaits {
	t := &mapWaits{got: [2]*int{new(int), new(int)}}
	for side := range t.maps {
		t.maps[side] = waitmap.New[int, int](nil)
	}
	key := 0
	t.lines = newLines(ctx, n, func(side int) (int, wake.Case) {
		key++
		return key, t.maps[side].OnTake(key, t.got[side])
	})
	return t
}

func (t *mapWaits) send(i, side int) {
	keys := t.sides[side]
	t.maps[side].Store(keys[at(i, keys)], i)
}

func (t *mapWaits) receive(i, side int) {
	keys := t.sides[side]
	v, err := t.maps[side].Take(t.ctx[side], keys[at(i, keys)])
	mustNot(err)
	same(v, i)
}

// A mapSelects stores, and takes by a Select.
type mapSelects struct{ mapWaits }

func newMapSelects(ctx context.Context, n int) *mapSelects {
	return &mapSelects{*newMapWaits(ctx, n)}
}

func (t *mapSelects) send(i, side int) {
	keys := t.sides[side]
	t.maps[side].Store(keys[at(i, keys)], i)
}

func (t *mapSelects) receive(i, side int) {
	cases := t.cases[side]
	chosen, err := await.Select(t.ctx[side], cases...)
	mustNot(err)
	same(chosen, at(i, cases))
	same(*t.got[side], i)
}

// A notifyWaits notifies one, and waits.
type notifyWaits struct{ lines[*notify.Notify] }

func newNotifyWaits(ctx context.Context) *notifyWaits { return &notifyWaits{newNotifyLines(ctx, 1)} }

func newNotifyLines(ctx context.Context, n int) lines[*notify.Notify] {
	return newLines(ctx, n, func(int) (*notify.Notify, wake.Case) {
		w := new(notify.Notify)
		return w, w.OnNotify()
	})
}

func (t *notifyWaits) send(i, side int) {
	notifies := t.sides[side]
	notifies[at(i, notifies)].NotifyOne()
}

func (t *notifyWaits) receive(i, side int) {
	notifies := t.sides[side]
	mustNot(notifies[at(i, notifies)].Wait(t.ctx[side]))
}

// A notifySelects notifies one, and waits by a Select.
type notifySelects struct{ lines[*notify.Notify] }

func newNotifySelects(ctx context.Context, n int) *notifySelects {
	return &notifySelects{newNotifyLines(ctx, n)}
}

func (t *notifySelects) send(i, side int) {
	notifies := t.sides[side]
	notifies[at(i, notifies)].NotifyOne()
}

func (t *notifySelects) receive(i, side int) {
	cases := t.cases[side]
	chosen, err := await.Select(t.ctx[side], cases...)
	mustNot(err)
	same(chosen, at(i, cases))
}
