package etcdengine

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/vigil-go/vigil/cluster/engine"
)

// Get asks a server that has all that was written before.
func (e *Engine) Get(ctx context.Context, key string, min uint64) (entry engine.Entry, ok bool, err error) {
	path, err := e.path(key)
	if err != nil {
		return entry, false, err
	}
	err = e.retry(ctx, func(ctx context.Context) error {
		entry, ok = engine.Entry{}, false
		r, err := e.kv.Get(ctx, path)
		switch {
		case err != nil:
			return err
		case uint64(r.Header.Revision) < min:
			return errEarly
		case len(r.Kvs) > 0:
			_, value := decode(r.Kvs[0].Value)
			entry, ok = engine.Entry{Value: value, Revision: uint64(r.Kvs[0].ModRevision)}, true
		}
		return nil
	})
	return entry, ok, err
}

var errEarly = errors.New("cluster: etcd does not have that revision yet")

// Write makes a transaction. The documentation of the package says what happens if the
// server's answer is lost.
func (e *Engine) Write(ctx context.Context, w engine.Write) (uint64, error) {
	if err := w.Check(); err != nil {
		return 0, err
	}
	path, err := e.path(w.Key)
	if err != nil {
		return 0, err
	}
	p := &put{e: e, w: &w, path: path}
	for retry := newBackoff(); ; {
		if err := e.connected(ctx); err != nil {
			return 0, p.failed(err)
		}
		revision, err := p.step(ctx)
		switch {
		case errors.Is(err, errPending):
			_ = e.wait(ctx, retry) // connected looks at ctx
		case !errors.Is(err, errAgain):
			return revision, err
		}
	}
}

// A put is a write that is tried until its fate is known.
type put struct {
	e    *Engine
	w    *engine.Write
	path string

	id     string   // of the last try
	lease  int64    // of the last try, or zero
	h      *history // in which it was to be applied
	before uint64   // a revision that the bucket had before it
	lost   error    // why it may have been applied although there was no answer
}

var (
	errPending = errors.New("cluster: the fate of the write is not known yet")
	errAgain   = errors.New("cluster: the write can be tried again")
)

// failed returns the error of a write that was given up for err.
func (p *put) failed(err error) error {
	if p.lost == nil {
		return err
	}
	return fmt.Errorf("%w: a write of %q: %w (%w)", engine.ErrUnknown, p.w.Key, err, p.lost)
}

// step sends the transaction, or looks what has become of it.
func (p *put) step(ctx context.Context) (uint64, error) {
	if p.lost != nil {
		return p.settle(ctx)
	}
	p.id, p.lease, p.h = newID(), 0, p.e.history.Load()
	p.before = p.h.newest.Load()
	if p.w.TTL > 0 {
		if err := p.grant(ctx); err != nil {
			return 0, p.refused(err)
		}
	}
	r, err := p.send(ctx)
	switch {
	case err == nil && r.Succeeded:
		p.discardReplaced(r)
		return p.applied(r.Header.Revision)
	case err == nil:
		p.e.discard(p.lease)
		return p.conflict(ctx, r)
	case unclear(err):
		p.lost = err
		return 0, errAgain
	}
	p.e.discard(p.lease)
	return 0, p.refused(err)
}

func (p *put) applied(revision int64) (uint64, error) {
	p.h.saw(revision)
	return uint64(revision), nil
}

func (p *put) grant(ctx context.Context) error {
	return p.e.once(ctx, func(ctx context.Context) (err error) {
		p.lease, err = p.e.grant(ctx, p.w.TTL)
		return err
	})
}

// send sends the transaction once. It fails without a trace if the id is given up, or if the
// bucket has another history than the one to which the revisions belong.
func (p *put) send(ctx context.Context) (*clientv3.TxnResponse, error) {
	ctx, cancel := p.e.run(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeout(ctx, p.e.o.AckTimeout)
	defer stop()
	conditions := []clientv3.Cmp{p.e.is(p.h), clientv3.Compare(clientv3.CreateRevision(p.givenUp()), "=", 0)}
	if !p.w.Unconditional {
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(p.path), "=", int64(p.w.Expected)))
	}
	return p.e.kv.Txn(ctx).If(conditions...).Then(p.change()...).
		Else(clientv3.OpGet(p.path, clientv3.WithKeysOnly()), clientv3.OpGet(p.e.prefix+historyKey)).Commit()
}

// change returns what the transaction does. A deletion leaves its id in a key of its own.
func (p *put) change() []clientv3.Op {
	if p.w.Delete {
		return []clientv3.Op{clientv3.OpDelete(p.path), clientv3.OpPut(p.e.prefix+noteKey, p.id)}
	}
	value := encode(p.id, p.w.Value)
	if p.lease == 0 {
		return []clientv3.Op{clientv3.OpPut(p.path, value)}
	}
	return []clientv3.Op{clientv3.OpPut(p.path, value, clientv3.WithLease(clientv3.LeaseID(p.lease)), clientv3.WithPrevKV())}
}

// discardReplaced discards the lease of what was replaced. A write without a TTL does not ask for
// it, because that would be sent with the old value.
func (p *put) discardReplaced(r *clientv3.TxnResponse) {
	if old := r.Responses[0].GetResponsePut().GetPrevKv(); old != nil {
		p.e.discard(old.Lease)
	}
}

// conflict says why the conditions of the transaction did not hold.
func (p *put) conflict(ctx context.Context, r *clientv3.TxnResponse) (uint64, error) {
	key, identity := r.Responses[0].GetResponseRange().Kvs, r.Responses[1].GetResponseRange().Kvs
	if len(identity) == 0 || string(identity[0].Value) != p.h.value {
		if _, _, err := p.e.position(ctx); err != nil { // adopts the other history
			return 0, err
		}
		return 0, errAgain
	}
	revision := uint64(r.Header.Revision)
	if len(key) > 0 {
		revision = uint64(key[0].ModRevision)
	}
	p.h.saw(r.Header.Revision)
	return 0, &engine.ConflictError{Key: p.w.Key, Revision: revision}
}

// refused returns the error of a write that a server has refused, and did not apply.
func (p *put) refused(err error) error {
	switch {
	case !final(err):
		return errPending
	case code(err) == codes.InvalidArgument || code(err) == codes.ResourceExhausted: // of which the size is the usual reason
		return fmt.Errorf("cluster: a write of %q with %d bytes: %w", p.w.Key, len(p.w.Value), err)
	}
	return fmt.Errorf("cluster: a write of %q: %w", p.w.Key, err)
}
