package etcdengine

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// longestTTL is one that a server and the clocks of all machines can add to a date.
const longestTTL = 100 * 365 * 24 * time.Hour

// maxUnused is the number of leases that may wait to be revoked. Others end by themselves.
const maxUnused = 1000

// grant makes a lease. etcd gives it a longer TTL if its election timeout is not much shorter.
func (e *Engine) grant(ctx context.Context, ttl time.Duration) (int64, error) {
	lease := newLease()
	seconds := int64((min(ttl, longestTTL) + time.Second - 1) / time.Second)
	_, err := e.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: lease, TTL: seconds})
	if err = rpctypes.Error(err); err != nil && !errors.Is(err, rpctypes.ErrLeaseExist) { // the client sends it again if an answer is lost
		e.discard(lease)
		return 0, err
	}
	return lease, nil
}

// discard revokes a lease that has no key any more, some time. Others than ours may have one.
func (e *Engine) discard(lease int64) {
	if !ours(lease) {
		return
	}
	select {
	case e.unused <- lease:
	default:
	}
}

// revokeUnused revokes leases until the Engine is closed.
func (e *Engine) revokeUnused() {
	for {
		select {
		case lease := <-e.unused:
			_ = e.once(e.ctx, func(ctx context.Context) error { // or it ends by itself
				_, err := e.leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease})
				return err
			})
		case <-e.ctx.Done():
			return
		}
	}
}
