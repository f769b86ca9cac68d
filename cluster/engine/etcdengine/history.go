package etcdengine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A history is what is known of the history of the bucket.
type history struct {
	value   string // of the key that identifies it
	cluster uint64 // the id of the etcd cluster

	newest atomic.Uint64 // a revision that it has had; only ever too low
	wanted atomic.Uint64 // the Watch must get there before long
}

// identity is that for engine.Position.
func (h *history) identity() string { return fmt.Sprintf("%x/%s", h.cluster, h.value) }

// is returns the condition of a transaction that the bucket has this history.
func (e *Engine) is(h *history) clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(e.prefix+historyKey), "=", h.value)
}

// saw notes a revision.
func (h *history) saw(revision int64) { raise(&h.newest, uint64(revision)) }

// raise sets a to at least to.
func raise(a *atomic.Uint64, to uint64) {
	for {
		old := a.Load()
		if to <= old || a.CompareAndSwap(old, to) {
			return
		}
	}
}

// Position returns the revision of etcd, and the identity of the history.
func (e *Engine) Position(ctx context.Context) (engine.Position, error) {
	h, revision, err := e.position(ctx)
	if err != nil {
		return engine.Position{}, err
	}
	raise(&h.wanted, revision)
	signal(e.look)
	return engine.Position{History: h.identity(), Revision: revision}, nil
}

func (e *Engine) position(ctx context.Context) (h *history, revision uint64, err error) {
	err = e.retry(ctx, func(ctx context.Context) (err error) {
		h, revision, err = e.inspect(ctx)
		return err
	})
	return h, revision, err
}

var errMoving = errors.New("cluster: the history changes while it is looked at")

// inspect asks for the identity, and makes one if there is none.
func (e *Engine) inspect(ctx context.Context) (*history, uint64, error) {
	for range 2 {
		r, err := e.kv.Get(ctx, e.prefix+historyKey)
		if err != nil {
			return nil, 0, err
		}
		if len(r.Kvs) > 0 {
			h := e.adopt(&history{value: string(r.Kvs[0].Value), cluster: r.Header.ClusterId})
			h.saw(r.Header.Revision)
			return h, uint64(r.Header.Revision), nil
		}
		absent := clientv3.Compare(clientv3.CreateRevision(e.prefix+historyKey), "=", 0)
		if err := e.begin(ctx, absent); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, errMoving
}

// same reports whether both are the same history.
func (h *history) same(o *history) bool { return h.value == o.value && h.cluster == o.cluster }

// adopt makes h the history that is known, and returns it, or what is known of it already.
func (e *Engine) adopt(h *history) *history {
	for {
		old := e.history.Load()
		if old != nil && old.same(h) {
			return old
		}
		if e.history.CompareAndSwap(old, h) {
			return h
		}
	}
}

// begin gives the bucket another identity. If another process is faster, its identity
// counts.
func (e *Engine) begin(ctx context.Context, condition clientv3.Cmp) error {
	id := hex.EncodeToString([]byte(newID()))
	_, err := e.kv.Txn(ctx).If(condition).Then(clientv3.OpPut(e.prefix+historyKey, id)).Commit()
	return err
}

// disown gives the bucket another history, because this one is shorter than it was: etcd has
// lost writes. It returns errRestart, or why it could not.
func (e *Engine) disown(ctx context.Context, h *history, revision uint64) error {
	e.o.Logger.Error("vigil cluster: etcd has lost writes", "bucket", e.o.Bucket, "revision", revision)
	err := e.once(ctx, func(ctx context.Context) error { return e.begin(ctx, e.is(h)) })
	if err != nil {
		return err
	}
	return errRestart
}
