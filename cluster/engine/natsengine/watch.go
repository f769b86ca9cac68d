package natsengine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A watch is what a call of Watch knows from one consumer to the next.
type watch struct {
	e    *Engine
	tell func(engine.Event)

	at      engine.Position // everything up to it was told, or is left out
	partial bool            // Reset or Skipped was told, and Synced was not yet
	owed    bool            // Synced must be told, because Watch was called
	floor   uint64          // Synced is not told before this revision
	stale   bool            // deletions may have been forgotten: the next session must begin anew
	fresh   instant         // when the watch was known to be up to date
	birth   uint64          // the sequence number of the message that identifies the history
}

// An instant is a time by this machine's clocks, and by the server's.
type instant struct {
	here   time.Time
	server time.Time
}

// Watch reads the stream by one consumer after the other.
func (e *Engine) Watch(ctx context.Context, from engine.Position, tell func(engine.Event)) error {
	if !e.watching.CompareAndSwap(false, true) {
		return errors.New("cluster: two calls of Watch at a time")
	}
	defer e.watching.Store(false)
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	w := &watch{e: e, tell: tell, at: from, stale: true, owed: true}
	if last := &e.lastWatch; from == last.at && !last.partial { // or else nobody knows for how long nobody watched
		w.stale, w.fresh = last.stale, last.fresh
	}
	defer func() { w.tell = nil; e.lastWatch = *w }()
	for retry := newBackoff(); ; {
		began := time.Now()
		err := w.session(ctx)
		if e.ctx.Err() != nil {
			return engine.ErrClosed
		}
		if ctx.Err() != nil {
			return engine.ContextError(ctx)
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

// session tells events until something goes wrong.
func (w *watch) session(ctx context.Context) error {
	drain(w.e.broken)
	p, err := w.e.position(ctx)
	if err != nil {
		return err
	}
	w.resume(p)
	r, err := w.e.newReader(ctx, w.at.Revision+1)
	if err != nil {
		return err
	}
	defer r.close()
	if err := w.catchUp(ctx, r); err != nil {
		return err
	}
	return w.follow(ctx, r)
}

func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// resume goes on from what was told, or begins anew.
func (w *watch) resume(p moment) {
	why := w.forgotten(p)
	w.floor, w.birth = p.Revision, p.birth
	if why == "" {
		return
	}
	if w.at.History != "" {
		w.e.o.Logger.Info("vigil cluster: everything is read anew", "bucket", w.e.o.Bucket, "because", why)
	}
	if p.History != w.at.History {
		w.e.newest.Store(p.Revision)
	}
	w.at, w.partial, w.stale = engine.Position{History: p.History}, true, false
	w.fresh = instant{time.Now(), p.time}
	w.tell(engine.Event{Kind: engine.Reset, History: p.History})
}

// forgotten says why the watch cannot go on from what was told. It returns an empty
// string if it can.
func (w *watch) forgotten(p moment) string {
	switch {
	case w.at.History != p.History:
		return "the history is another one"
	case w.at.Revision > p.Revision:
		return "the history is shorter than before"
	case w.stale:
		return "deletions may have been forgotten"
	case w.late(p.time):
		return "the watch was cut off for a long time"
	}
	return ""
}

// late reports whether the server may have forgotten deletions that were not told: whether
// the watch has not been up to date for half of the time that markers live, by any clock.
func (w *watch) late(server time.Time) bool {
	if w.e.markerTTL == 0 {
		return false
	}
	now, limit := time.Now(), w.e.markerTTL/2
	return now.Sub(w.fresh.here) > limit || now.Round(0).Sub(w.fresh.here.Round(0)) > limit ||
		!server.IsZero() && server.Sub(w.fresh.server) > limit
}

// catchUp tells what is there already.
func (w *watch) catchUp(ctx context.Context, r *reader) error {
	for {
		began := time.Now()
		if err := r.pull(true); err != nil {
			return err
		}
		for {
			m, err := r.next(ctx, nil)
			if err != nil {
				return err
			}
			if m == nil {
				break
			}
			if err := w.message(r, m); err != nil {
				return err
			}
		}
		if r.empty {
			return w.complete(ctx, began, w.floor)
		}
	}
}

// follow tells what is written from now on.
func (w *watch) follow(ctx context.Context, r *reader) error {
	interval := w.e.o.CheckInterval
	if w.e.markerTTL > 0 {
		interval = min(interval, w.e.markerTTL/4)
	}
	check := time.NewTicker(interval)
	defer check.Stop()
	for {
		if err := r.pull(false); err != nil {
			return err
		}
		for {
			m, err := r.next(ctx, check.C)
			if errors.Is(err, errLook) {
				if err := w.check(ctx); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
			if m == nil {
				break
			}
			if err := w.message(r, m); err != nil {
				return err
			}
		}
	}
}

// check looks whether the history is still the same, and whether everything was told.
func (w *watch) check(ctx context.Context) error {
	began := time.Now()
	p, err := w.e.position(ctx)
	if err != nil {
		return err
	}
	if p.History != w.at.History || p.Revision < w.at.Revision {
		return errRestart
	}
	if err := w.complete(ctx, began, p.Revision); err != nil {
		return err
	}
	if w.at.Revision >= p.Revision {
		w.fresh.server = p.time
	}
	return nil
}

// complete tells Synced if there is no message that was not told, and the bucket has that
// revision. began is a time before the call.
func (w *watch) complete(ctx context.Context, began time.Time, revision uint64) error {
	if w.at.Revision < revision {
		var m *stored
		err := w.e.retry(ctx, func(ctx context.Context) (err error) {
			m, err = w.e.message(ctx, query{Next: ">", Seq: w.at.Revision + 1})
			return err
		})
		if err != nil || m != nil { // it will come
			return err
		}
		if w.late(time.Time{}) { // what was there may have been a deletion
			w.stale = true
			return errRestart
		}
		w.at.Revision = revision
		w.synced()
	} else if w.partial || w.owed {
		w.synced()
	}
	w.fresh.here = began
	return nil
}

// synced tells Synced.
func (w *watch) synced() {
	w.partial, w.owed = false, false
	w.tell(engine.Event{Kind: engine.Synced, Revision: w.at.Revision})
}

// message tells what a message of the stream says.
func (w *watch) message(r *reader, m *nats.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("cluster: message of a consumer: %w", err)
	}
	if r.seen++; meta.Sequence.Consumer != r.seen {
		return errRestart // a message got lost on the way
	}
	seq := meta.Sequence.Stream
	if seq <= w.at.Revision {
		return fmt.Errorf("cluster: message %d after %d", seq, w.at.Revision)
	}
	if err := w.gap(seq, meta.Timestamp); err != nil {
		return err
	}
	w.at.Revision = seq
	w.e.saw(seq)
	told, err := w.content(m, seq)
	if err != nil {
		return err
	}
	if meta.NumPending > 0 {
		return nil
	}
	w.fresh = instant{time.Now(), meta.Timestamp}
	if (w.partial || w.owed) && seq >= w.floor || !w.partial && !told {
		w.synced()
	}
	return nil
}

// gap looks whether there is one before the message of that number.
func (w *watch) gap(seq uint64, at time.Time) error {
	if seq == w.at.Revision+1 {
		return nil
	}
	if w.at.Revision > 0 && w.late(time.Time{}) {
		w.stale = true
		return errRestart
	}
	if !w.partial {
		w.partial = true
		w.tell(engine.Event{Kind: engine.Skipped})
	}
	return nil
}

// content tells the put or deletion of a key. It reports false if the message is none.
func (w *watch) content(m *nats.Msg, seq uint64) (told bool, err error) {
	token, ours := strings.CutPrefix(m.Subject, w.e.prefix)
	if token == birth && seq != w.birth {
		return false, errRestart // the history is another one
	}
	token, isKey := strings.CutPrefix(token, keyPrefix)
	key, ok := decode(token)
	if !ours || !isKey || !ok {
		return false, nil
	}
	event := engine.Event{Kind: engine.Put, Key: key, Value: m.Data, Revision: seq}
	if deletes(m.Header) {
		event.Kind, event.Value = engine.Delete, nil
	}
	w.tell(event)
	return true, nil
}
