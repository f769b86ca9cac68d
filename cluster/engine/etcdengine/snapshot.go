package etcdengine

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A page has pageBytes of keys and values, if these have about the same length.
const (
	firstPage = 10 // keys
	largePage = 1000
	pageBytes = 1 << 20
)

// snapshot returns what the bucket had at a revision, in the order of revisions.
func (e *Engine) snapshot(ctx context.Context, revision int64) (all []*keyValue, err error) {
	from, end := e.prefix+keyPrefix, clientv3.GetPrefixRangeEnd(e.prefix+keyPrefix)
	for limit, more := firstPage, true; more; {
		var r *clientv3.GetResponse
		err := e.retry(ctx, func(ctx context.Context) (err error) {
			r, err = e.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(int64(limit)))
			if err != nil { // perhaps because the page was too large
				limit = max(1, limit/10)
			}
			return err
		})
		if errors.Is(err, rpctypes.ErrCompacted) {
			return nil, errRestart
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r.Kvs...)
		if more = r.More; more {
			from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
			limit = nextPage(r.Kvs)
		}
	}
	slices.SortFunc(all, func(a, b *keyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) })
	return all, nil
}

// nextPage returns how many keys the page after a page may have.
func nextPage(page []*keyValue) int {
	bytes := 1
	for _, kv := range page {
		bytes += len(kv.Key) + len(kv.Value)
	}
	return max(1, min(len(page)*pageBytes/bytes, largePage))
}
