package etcdengine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A watch is what a call of Watch knows from one reader to the next.
type watch struct {
	e    *Engine
	tell func(engine.Event)

	at    engine.Position // everything up to it was told
	h     *history        // of at, in a session
	owed  bool            // Synced must be told, because Watch was called
	goal  uint64          // then
	anew  string          // why the next session must tell everything anew
	reach atomic.Uint64   // at.Revision, for the keeper
	tick  uint64          // a revision that the watch will reach, of the keeper's last write
}

// Watch reads the history by one reader after the other.
func (e *Engine) Watch(ctx context.Context, from engine.Position, tell func(engine.Event)) error {
	if !e.watching.CompareAndSwap(false, true) {
		return errors.New("cluster: two calls of Watch at a time")
	}
	defer e.watching.Store(false)
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	w := &watch{e: e, tell: tell, at: from, owed: true}
	if e.unfinished {
		w.anew = "the last watch has ended before everything was told"
	}
	for retry := newBackoff(); ; {
		began := time.Now()
		err := w.session(ctx)
		if err := e.ended(ctx); err != nil {
			return err
		}
		if time.Since(began) > lastDelay {
			retry = newBackoff()
		}
		e.o.Logger.Debug("vigil cluster: watch interrupted", "bucket", e.o.Bucket, "revision", w.at.Revision, "error", err)
		if !errors.Is(err, errRestart) {
			_ = retry.sleep(ctx) // the loop looks at ctx
		}
	}
}

// errRestart means that another session can begin at once.
var errRestart = errors.New("cluster: the watch begins again")

var errSlow = errors.New("cluster: etcd does not make a stream")

// session tells events until something goes wrong. The identity of the history is asked for
// again when there is a stream, which a server that has another history does not have.
func (w *watch) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h, revision, err := w.e.position(ctx)
	if err != nil {
		return err
	}
	why := w.stale(h)
	if why == "" && w.at.Revision > revision { // revisions will be used again
		return w.e.disown(ctx, h, revision)
	}
	from := w.at.Revision
	if why != "" {
		from = revision
	}
	patience := time.AfterFunc(apiTimeout, func() { cancel(errSlow) })
	defer patience.Stop()
	r, err := w.e.newReader(ctx, from)
	if err != nil || !patience.Stop() {
		return errors.Join(err, context.Cause(ctx))
	}
	now, newest, err := w.e.position(ctx)
	switch {
	case err != nil:
		return err
	case !now.same(h) || newest < from:
		return errRestart
	}
	w.h, w.goal, w.tick = h, newest, 0
	if why != "" {
		if err := w.reset(ctx, revision, why); err != nil {
			return err
		}
	}
	return w.follow(ctx, cancel, r)
}

// stale says why the watch cannot go on from what was told. It returns an empty string if it
// can.
func (w *watch) stale(h *history) string {
	if w.anew == "" && w.at.History != h.identity() {
		return "the history is another one"
	}
	return w.anew
}

// reset tells the whole bucket anew, as it was at a revision.
func (w *watch) reset(ctx context.Context, revision uint64, why string) error {
	all, err := w.e.snapshot(ctx, int64(revision))
	if err != nil {
		return err
	}
	if w.at.History != "" {
		w.e.o.Logger.Info("vigil cluster: everything is read anew", "bucket", w.e.o.Bucket, "because", why)
	}
	w.e.unfinished = true
	w.move(engine.Position{History: w.h.identity()})
	w.anew = ""
	w.tell(engine.Event{Kind: engine.Reset, History: w.at.History})
	for _, kv := range all {
		w.advance(kv.ModRevision)
		w.put(kv)
	}
	w.advance(int64(revision))
	w.synced()
	return nil
}

// move notes how far the watch has come.
func (w *watch) move(to engine.Position) {
	w.at = to
	w.reach.Store(to.Revision)
}

func (w *watch) advance(revision int64) {
	w.move(engine.Position{History: w.at.History, Revision: uint64(revision)})
	w.h.saw(revision)
}

// synced tells Synced.
func (w *watch) synced() {
	w.owed, w.e.unfinished = false, false
	w.tell(engine.Event{Kind: engine.Synced, Revision: w.at.Revision})
}

func (w *watch) put(kv *keyValue) {
	_, value := decode(kv.Value)
	w.tell(engine.Event{Kind: engine.Put, Key: w.e.key(kv), Value: value, Revision: uint64(kv.ModRevision)})
}

// follow tells what is written from now on. Meanwhile another goroutine keeps watch over the
// session.
func (w *watch) follow(ctx context.Context, cancel context.CancelCauseFunc, r *reader) error {
	var keeper sync.WaitGroup
	defer func() { cancel(nil); keeper.Wait() }()
	if w.owed {
		raise(&w.h.wanted, w.goal)
		signal(w.e.look)
	}
	keeper.Go(func() { w.keep(ctx, cancel) })
	w.arrive()
	for {
		all, err := r.next()
		if err != nil {
			return w.broken(ctx, err)
		}
		for _, c := range all {
			if err := w.change(c); err != nil {
				return err
			}
			w.arrive()
		}
	}
}

// broken returns why a reader has failed.
func (w *watch) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errCompacted):
		w.anew = err.Error()
		return errRestart
	}
	return err
}

// arrive tells Synced if the watch has reached what was there when Watch was called.
func (w *watch) arrive() {
	if w.owed && w.at.Revision >= w.goal {
		w.synced()
	}
}

// change tells what a transaction has done. Only others than engines change more than one
// key at a time.
func (w *watch) change(c change) error {
	var keys []*event
	for _, event := range c.events {
		switch key := string(event.Kv.Key); {
		case key == w.e.prefix+historyKey && (event.Type != putType || string(event.Kv.Value) != w.h.value):
			return errRestart
		case strings.HasPrefix(key, w.e.prefix+keyPrefix):
			keys = append(keys, event)
		}
	}
	if len(keys) > 1 && !w.e.unfinished {
		w.e.unfinished = true
		w.tell(engine.Event{Kind: engine.Skipped})
	}
	w.advance(c.revision)
	for _, event := range keys {
		if event.Type == putType {
			w.put(event.Kv)
		} else {
			w.tell(engine.Event{Kind: engine.Delete, Key: w.e.key(event.Kv), Revision: w.at.Revision})
		}
	}
	if len(keys) != 1 && !w.owed { // or else nobody would know that there is a new revision
		w.synced()
	}
	return nil
}

// grace is the time in which the watch gets by itself to a revision that has just been written.
const grace = 10 * time.Millisecond

// keep ends the session if the history is another one, or if servers do not answer. If a
// revision is wanted that the watch does not reach, because it is of a write outside of the
// bucket, it writes another one in the bucket.
func (w *watch) keep(ctx context.Context, cancel context.CancelCauseFunc) {
	check := time.NewTicker(w.e.o.CheckInterval)
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-w.e.look:
		case <-check.C:
			err = w.e.once(ctx, func(ctx context.Context) error { _, _, err := w.e.inspect(ctx); return err })
		}
		if err == nil && !w.e.history.Load().same(w.h) {
			err = errRestart
		}
		if err != nil {
			cancel(err)
			return
		}
		w.nudge(ctx)
	}
}

// nudge writes something if the watch does not reach the wanted revision.
func (w *watch) nudge(ctx context.Context) {
	behind := func() bool { return max(w.reach.Load(), w.tick) < w.h.wanted.Load() }
	if !behind() {
		return
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	if !behind() {
		return
	}
	err := w.e.once(ctx, func(ctx context.Context) error {
		r, err := w.e.kv.Txn(ctx).If(w.e.is(w.h)).Then(clientv3.OpPut(w.e.prefix+noteKey, newID())).Commit()
		if err == nil && r.Succeeded {
			w.tick = uint64(r.Header.Revision)
		}
		return err
	})
	if err != nil && ctx.Err() == nil { // the next check tries again
		w.e.o.Logger.Warn("vigil cluster: a watch cannot tell that nothing was written", "bucket", w.e.o.Bucket, "error", err)
	}
}
