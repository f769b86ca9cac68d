package etcdengine

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// givenUpTTL is more than a request can be on its way from a client to the leader.
const givenUpTTL = time.Hour

// givenUp returns the key that keeps the last try from being applied, if it is there.
func (p *put) givenUp() string { return p.e.prefix + givenUpPrefix + p.id }

// settle finds out whether a try was applied whose answer was lost. If its id is in the key,
// it was. Otherwise it is given up: it will not be applied from then on. Then what was written
// meanwhile tells whether it has been.
func (p *put) settle(ctx context.Context) (uint64, error) {
	revision, err := p.current(ctx)
	if err != nil {
		return 0, p.unsettled(err)
	}
	if revision > 0 {
		return p.applied(revision)
	}
	last, err := p.giveUp(ctx)
	if err != nil {
		return 0, p.unsettled(err)
	}
	if revision, err = p.search(ctx, last); err != nil {
		return 0, p.unsettled(err)
	}
	if revision > 0 {
		return p.applied(revision)
	}
	p.e.discard(p.lease)
	p.lost = nil
	return 0, errAgain
}

// unsettled returns the error of a write of which err keeps the fate from being known.
func (p *put) unsettled(err error) error {
	if final(err) {
		return p.failed(err)
	}
	return errPending
}

// current returns the revision of the last write of the key, or of the last deletion, if that
// is the last try.
func (p *put) current(ctx context.Context) (revision int64, err error) {
	target := p.path
	if p.w.Delete {
		target = p.e.prefix + noteKey
	}
	err = p.e.once(ctx, func(ctx context.Context) error {
		r, err := p.e.kv.Get(ctx, target)
		if err == nil && len(r.Kvs) > 0 && p.wrote(r.Kvs[0]) {
			revision = r.Kvs[0].ModRevision
		}
		return err
	})
	return revision, err
}

// wrote reports whether the last try has put that.
func (p *put) wrote(kv *keyValue) bool {
	if p.w.Delete {
		return string(kv.Key) == p.e.prefix+noteKey && string(kv.Value) == p.id
	}
	id, _ := decode(kv.Value)
	return string(kv.Key) == p.path && id == p.id
}

var errOtherHistory = errors.New("cluster: the bucket was emptied or made anew")

// giveUp writes the id where the condition of the last try looks for it. It returns a revision
// after which the try will not be applied.
func (p *put) giveUp(ctx context.Context) (last int64, err error) {
	err = p.e.once(ctx, func(ctx context.Context) error {
		lease, err := p.e.grant(ctx, givenUpTTL)
		if err != nil {
			return err
		}
		key := p.givenUp()
		r, err := p.e.kv.Txn(ctx).If(p.e.is(p.h)).Then(clientv3.OpPut(key, "", clientv3.WithLease(clientv3.LeaseID(lease)))).Commit()
		if err != nil {
			return err
		}
		if !r.Succeeded {
			p.e.discard(lease)
			return errOtherHistory
		}
		last = r.Header.Revision
		return nil
	})
	return last, err
}

// search looks for the last try in what was written up to a revision. It returns zero if it is
// not there.
func (p *put) search(ctx context.Context, last int64) (revision int64, err error) {
	err = p.e.once(ctx, func(ctx context.Context) error {
		s, err := p.e.newReader(ctx, p.before)
		if err != nil {
			return err
		}
		for {
			all, err := s.next()
			if err != nil {
				return err
			}
			for _, c := range all {
				for _, event := range c.events {
					if event.Type == putType && p.wrote(event.Kv) {
						revision = event.Kv.ModRevision
						return nil
					}
				}
				if c.revision >= last {
					return nil
				}
			}
		}
	})
	return revision, err
}
