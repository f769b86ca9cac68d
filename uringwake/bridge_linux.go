package uringwake

import (
	"context"
	"errors"
	"unsafe"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

func init() {
	bridge.Current = currentContext
	bridge.NewOp = func(ctx context.Context) (bridge.Op, error) {
		o, err := newOp(ctx)
		if err != nil {
			return nil, err
		}
		return o, nil
	}
	bridge.AfterFunc = func(ctx context.Context, f func()) func() bool { return context.AfterFunc(tamed(ctx), f) }
	bridge.HaveCancel = haveCancel
	bridge.HaveBuffers = haveBuffersAhead
	bridge.PrepareReceive = func(b bridge.Op, fd int, flags uint32) { b.(*op).prepareReceive(fd, flags) }
}

// currentContext returns the context of the task that runs on this thread. A posted
// function is not a task.
func currentContext() context.Context {
	if l := threads.current(); l != nil && l.current != nil && l.current.ctx != nil {
		return l.current.ctx
	}
	return context.Background()
}

// SQE implements bridge.Op, as the next methods do.
func (o *op) SQE() *ring.SQE { return &o.sqe }

// Keep has p stay reachable until o has completed.
func (o *op) Keep(p unsafe.Pointer) { o.keep = p }

// Release gives up an operation that was not submitted.
func (o *op) Release() { o.driver.release(o) }

// Start launches a multishot operation.
func (o *op) Start(s bridge.Sink) bridge.Handle {
	o.sink = s
	return o.driver.begin(o)
}

func (o *op) handle() bridge.Handle { return bridge.NewHandle(o, uint64(o.id)) }

// CancelNamed cancels o if it still is the operation of that name.
func (o *op) CancelNamed(id uint64) { o.driver.cancelNamed(o, userData(id)) }

// interrupted reports whether o's interrupter has canceled it, or is about to.
func (o *op) interrupted() bool { return o.interrupter != nil && o.interrupter.Hit() }

// attach lets o's interrupter cancel o. It reports false if o must be canceled now.
func (o *op) attach() bool { return o.interrupter == nil || o.interrupter.Attach(o.handle()) }

// begin launches a multishot operation. A loop that is closing cancels it at once.
func (l *Loop) begin(o *op) bridge.Handle {
	l.launch(o)
	h := o.handle()
	if l.closing.Load() {
		l.cancel(o, o.id)
	}
	return h
}

// endStreams cancels the multishot operations: no task waits for their last completion.
func (l *Loop) endStreams() {
	for _, s := range l.ops.slots {
		if s.op != nil && s.op.sink != nil {
			l.cancel(s.op, s.op.id)
		}
	}
}

// tell calls the wakers that sinks have returned. One of a foreign type may end the
// goroutine: then the next call continues.
func (l *Loop) tell() {
	for l.heard < len(l.told) {
		w := l.told[l.heard]
		l.told[l.heard] = nil
		l.heard++
		if t, ok := w.(*Task); ok && t.loop == l {
			t.wakeHere()
		} else {
			w.Wake()
		}
	}
	l.told, l.heard = l.told[:0], 0
}

func (l *Loop) cancelNamed(o *op, id userData) {
	l.deliver(callTo(func() { l.cancel(o, id) }))
}

func (d *goroutineDriver) begin(o *op) bridge.Handle {
	d.mu.Lock()
	d.ringQueue.launch(o)
	h := o.handle()
	d.stepAside(nil)
	return h
}

func (d *goroutineDriver) cancelNamed(o *op, id userData) {
	d.mu.Lock()
	var w wake.Waker
	if d.ops.find(id) == o {
		w = d.abort(o)
	}
	d.stepAside(w)
}

// stepAside is stepAndUnlock that also calls w, which may be nil. It calls all wakers in a
// goroutine of their own: one may end it, and the caller has an operation to look after, or
// somebody else to wake.
func (d *goroutineDriver) stepAside(w wake.Waker) {
	wakers := d.collect(nil)
	d.alert()
	d.mu.Unlock()
	if w != nil {
		wakers = append(wakers, w)
	}
	if len(wakers) > 0 {
		go wakeAll(wakers)
	}
}

// passOn gives a completion of a multishot operation to its sink. After the last one
// the operation is its driver's again.
func (q *ringQueue) passOn(o *op, res int32, flags uint32) {
	var data []byte
	if flags&ring.CQEBuffer != 0 && q.buffers != nil {
		id := uint16(flags >> ring.CQEBufferShift)
		data = q.buffers.bytes(id, res)
		defer q.buffers.give(id)
	}
	last := flags&ring.CQEMore == 0
	if last {
		q.ops.remove(o)
	}
	if w := o.sink.Completed(res, flags, data); w != nil {
		q.told = append(q.told, w)
	}
	if last {
		o.driver.release(o)
	}
}

// takeTold appends the wakers that sinks have returned.
func (q *ringQueue) takeTold(wakers []wake.Waker) []wake.Waker {
	wakers = append(wakers, q.told...)
	clear(q.told)
	q.told = q.told[:0]
	return wakers
}

func haveCancel(ctx context.Context) error {
	_, err := onQueue(ctx, (*ringQueue).cannotCancel)
	return err
}

// haveBuffersAhead is haveBuffers for a receive that also goes on while nobody waits for
// it. On a loop with a limit it would keep a place from the operations that its data
// depends on.
func haveBuffersAhead(ctx context.Context) error {
	_, err := onQueue(ctx, func(q *ringQueue) error {
		if q.limit > 0 {
			return errors.New("uringwake: the loop has LoopOptions.MaxInFlight")
		}
		return q.openBuffers()
	})
	return err
}

func haveBuffers(ctx context.Context) error {
	_, err := onQueue(ctx, (*ringQueue).openBuffers)
	return err
}
