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
	stale   bool            // deletions may have been forgotten: the next session must begin anew
	goals   []moment        // what the server has said, and was not reached yet
	goal    moment          // the newest that it has said
	unsure  bool            // messages that have been replaced may have been so after goal
	fresh   moment          // the newest that was reached: what was written before was told
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
	p, err := w.e.current(ctx)
	if err != nil {
		return err
	}
	if w.at.History == p.History && w.at.Revision > p.Revision { // revisions will be used again
		return w.e.disown(ctx, p)
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
	if err := w.check(ctx); err != nil {
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
	w.aim(p)
	w.unsure = w.partial
	if why == "" {
		return
	}
	if w.at.History != "" {
		w.e.o.Logger.Info("vigil cluster: everything is read anew", "bucket", w.e.o.Bucket, "because", why)
	}
	if p.History != w.at.History {
		w.e.newest.Store(p.Revision)
	}
	w.at, w.fresh, w.goals = engine.Position{History: p.History}, p, []moment{p}
	w.partial, w.stale, w.unsure = true, false, false
	w.tell(engine.Event{Kind: engine.Reset, History: p.History})
}

// forgotten says why the watch cannot go on from what was told. It returns an empty
// string if it can.
func (w *watch) forgotten(p moment) string {
	switch {
	case w.at.History != p.History:
		return "the history is another one"
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
	return now.Sub(w.fresh.asked) > limit || now.Round(0).Sub(w.fresh.asked.Round(0)) > limit ||
		!server.IsZero() && server.Sub(w.fresh.time) > limit
}

// catchUp tells what is there already.
func (w *watch) catchUp(ctx context.Context, r *reader) error {
	for {
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
			return nil
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
			if w.unsure && len(r.msgs) == 0 {
				signal(w.e.look)
			}
		}
	}
}

// check looks whether the history is still the same, and whether everything was told.
func (w *watch) check(ctx context.Context) error {
	ask := w.e.position
	if w.partial { // the goal must not be too near
		ask = w.e.current
	}
	p, err := ask(ctx)
	if err != nil {
		return err
	}
	if p.History != w.at.History || p.Revision < max(w.at.Revision, w.goal.Revision) { // or a deposed leader says so
		return errRestart
	}
	w.aim(p)
	w.unsure = false
	if w.at.Revision < p.Revision {
		if err := w.skip(ctx); err != nil {
			return err
		}
	}
	w.arrive()
	return nil
}

// skip goes to the goal if no message after what was told is left.
func (w *watch) skip(ctx context.Context) error {
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
	if w.e.replicated.Load() { // a deposed leader may not have what comes, and this will come
		_, err = w.e.writeBarrier(ctx)
		return err
	}
	w.at.Revision, w.owed = w.goal.Revision, true
	return nil
}

// maxGoals is more than are set while a watch falls behind by half of a usual MarkerTTL.
const maxGoals = 1000

// aim sets a goal.
func (w *watch) aim(p moment) {
	w.goal = p
	if len(w.goals) < maxGoals {
		w.goals = append(w.goals, p)
	}
}

// arrive notes which goals were reached. At the last one the state is that of the bucket,
// unless a message is missing that was replaced after the goal was set.
func (w *watch) arrive() {
	for len(w.goals) > 0 && w.at.Revision >= w.goals[0].Revision {
		w.fresh, w.goals = w.goals[0], w.goals[1:]
	}
	if w.at.Revision >= w.goal.Revision && (w.partial || w.owed) && !w.unsure {
		w.synced()
	}
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
	if seq != w.at.Revision+1 {
		if err := w.gap(); err != nil {
			return err
		}
	}
	w.at.Revision = seq
	w.e.saw(seq)
	told, err := w.content(m, seq)
	if err != nil {
		return err
	}
	if !told && !w.partial && !w.owed {
		w.synced() // or else nobody would know that there is a new revision
	}
	w.arrive()
	return nil
}

// gap handles messages that are not there any more. They were replaced, perhaps by
// messages that are still to come, or were deletions that the server has forgotten.
func (w *watch) gap() error {
	if w.at.Revision > 0 && w.late(time.Time{}) {
		w.stale = true
		return errRestart
	}
	w.unsure = true
	if !w.partial {
		w.partial = true
		w.tell(engine.Event{Kind: engine.Skipped})
	}
	return nil
}

// content tells the put or deletion of a key. It reports false if the message is none.
func (w *watch) content(m *nats.Msg, seq uint64) (told bool, err error) {
	token, ours := strings.CutPrefix(m.Subject, w.e.prefix)
	if token == birth && seq != w.goal.birth {
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
