package faults_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
	"github.com/vigil-go/vigil/cluster/internal/lab"
	"github.com/vigil-go/vigil/wake"
)

// openOptions are how a worker opens the bucket.
type openOptions struct {
	MarkerTTL, TTL, ResultTTL time.Duration
	Server                    int // the only one that the worker knows, from 1 on; zero: all
}

// A request is what a worker is asked to do.
type request struct {
	ID         int
	Op         string
	Key, Value string
	Old        uint64
	Within     time.Duration // zero: no end
	Open       openOptions
}

// pause is for how long a load, a holder or a callback does nothing.
func (q *request) pause() time.Duration { return time.Duration(q.Old) * time.Millisecond }

// A response is what a call returned, or something that happened before that.
type response struct {
	ID       int
	Event    string // empty: the call has returned
	Value    string
	Revision uint64
	OK       bool
	Values   map[string]string

	Err       string
	Unknown   bool // the error matches ErrUnknown
	Ended     bool // the error matches that of the end of the context
	LeaseLost bool
}

func (r *response) fail(err error) {
	if err != nil {
		r.Err = err.Error()
	}
	r.Unknown = errors.Is(err, cluster.ErrUnknown)
	r.Ended = errors.Is(err, context.DeadlineExceeded)
	r.LeaseLost = errors.Is(err, cluster.ErrLeaseLost)
}

// A worker is what a worker's process has.
type worker struct {
	self   *lab.Self
	bucket *cluster.Bucket
	m      *cluster.Map[string]
	g      *cluster.Group[string]
	x      *cluster.Mutex

	mu    sync.Mutex
	loads map[int]chan string // of loads that wait for their result, by the id of the call
}

// work is the function of a worker's process.
func work(ctx context.Context, self *lab.Self) error {
	w := &worker{self: self, loads: make(map[int]chan string)}
	for {
		var q request
		if self.Receive(ctx, &q) != nil {
			return nil
		}
		switch q.Op {
		case "open":
			if err := w.open(ctx, q); err != nil {
				return err
			}
			self.Send(response{ID: q.ID})
		case "return":
			w.load(q.ID) <- q.Value
		default:
			go w.serve(ctx, q)
		}
	}
}

func (w *worker) open(ctx context.Context, q request) (err error) {
	addresses := w.self.Addresses
	if i := q.Open.Server; i > 0 {
		addresses = addresses[i-1 : i]
	}
	e, err := natsengine.Open(ctx, &natsengine.Options{Bucket: "test", Addresses: addresses, MarkerTTL: q.Open.MarkerTTL})
	if err != nil {
		return err
	}
	if w.bucket, err = cluster.Open(ctx, &cluster.Options{Engine: e}); err != nil {
		return err
	}
	if w.m, err = cluster.NewMap[string](w.bucket, nil); err != nil {
		return err
	}
	if w.g, err = cluster.NewGroup[string](w.bucket, &cluster.GroupOptions{TTL: q.Open.TTL, ResultTTL: q.Open.ResultTTL}); err != nil {
		return err
	}
	w.x, err = cluster.NewMutex(w.bucket, &cluster.MutexOptions{TTL: q.Open.TTL})
	return err
}

func (w *worker) serve(ctx context.Context, q request) {
	if q.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Within)
		defer cancel()
	}
	r := response{ID: q.ID}
	r.fail(w.call(ctx, q, &r))
	w.self.Send(r)
}

func (w *worker) call(ctx context.Context, q request, r *response) (err error) {
	switch q.Op {
	case "store":
		r.Revision, err = w.m.Store(ctx, q.Key, q.Value)
	case "swap":
		r.Revision, r.OK, err = w.m.CompareAndSwap(ctx, q.Key, q.Old, q.Value)
	case "delete":
		err = w.m.Delete(ctx, q.Key)
	case "clock":
		r.Value = time.Now().UTC().Format(time.RFC3339Nano)
	case "sync":
		err = w.bucket.Sync(ctx)
	case "load", "look":
		if q.Op == "load" {
			err = w.bucket.Sync(ctx)
		}
		e, ok := w.m.LoadEntry(q.Key)
		r.Value, r.Revision, r.OK = e.Value, e.Revision, ok
	case "all":
		err = w.bucket.Sync(ctx)
		r.Values = make(map[string]string)
		for key, value := range w.m.All() {
			r.Values[key] = value
		}
	case "wait":
		r.Value, err = w.m.Wait(ctx, q.Key)
	case "take":
		r.Value, err = w.m.Take(ctx, q.Key)
	case "stall":
		w.stall(q)
	case "do", "work", "nest":
		r.Value, err = w.g.Do(ctx, q.Key, w.loader(q))
	case "lock":
		r.Revision, err = w.x.Lock(ctx)
	case "unlock":
		err = w.x.Unlock(ctx)
	case "guard":
		if r.Revision, err = w.x.Lock(ctx); err == nil {
			time.Sleep(q.pause())
			err = w.x.Unlock(ctx)
		}
	case "held": // returns when it is not held any more
		<-w.x.Context().Done()
		err = context.Cause(w.x.Context())
	default:
		panic(q.Op)
	}
	return err
}

// loader returns what a call of Do loads: for do it is what the test says by a request
// "return", for work it is the fence, after a while, and for nest the result of another Do.
func (w *worker) loader(q request) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		fence, _ := cluster.Fence(ctx)
		w.self.Send(response{ID: q.ID, Event: "loading", Revision: fence})
		switch q.Op {
		case "nest":
			return w.g.Do(ctx, q.Value, func(context.Context) (string, error) { return "nested", nil })
		case "work":
			time.Sleep(q.pause())
			return fmt.Sprint(fence), nil
		}
		value := <-w.load(q.ID)
		w.load(q.ID) <- value // for another load, if the lease of this one was lost
		return value, nil
	}
}

func (w *worker) load(id int) chan string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loads[id] == nil {
		w.loads[id] = make(chan string, 10)
	}
	return w.loads[id]
}

// stall keeps the goroutine that follows the history busy when the key is stored.
func (w *worker) stall(q request) {
	stalled := make(chan struct{})
	w.m.Register(q.Key, wake.Func(func() {
		w.self.Send(response{ID: q.ID, Event: "stalling"})
		time.Sleep(q.pause())
		close(stalled)
	}))
	w.self.Send(response{ID: q.ID, Event: "ready"})
	<-stalled
}
