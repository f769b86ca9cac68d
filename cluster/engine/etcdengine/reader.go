package etcdengine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

type (
	keyValue = mvccpb.KeyValue
	event    = mvccpb.Event
)

const putType = mvccpb.Event_PUT

// A change is what one transaction has done to the keys of the bucket. Without events, it
// says that up to its revision nothing else was done.
type change struct {
	revision int64
	events   []*event
}

// A reader reads the history of the bucket from one server, by one stream. The client's Watcher
// would go on with another server by itself, which may have another history by then.
type reader struct {
	stream pb.Watch_WatchClient
	after  int64    // all up to it was read
	queue  []*event // not complete
}

// errCompacted means that what a reader was to read was forgotten.
var errCompacted = errors.New("cluster: etcd has forgotten what comes next in the history")

// newReader reads the history after a revision, until ctx ends. It asks for that revision, too,
// and so is told if the next one was compacted: some servers forget a deletion of just the
// revision to which they compact (etcd-io/etcd#18089).
func (e *Engine) newReader(ctx context.Context, after uint64) (*reader, error) {
	stream, err := pb.NewWatchClient(e.conn).Watch(clientv3.WithRequireLeader(ctx), grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return nil, fmt.Errorf("cluster: watch: %w", err)
	}
	err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(e.prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(e.prefix)), StartRevision: int64(max(after, 1)), // zero would be the newest
		ProgressNotify: true, Fragment: true,
	}}})
	r := &reader{stream: stream, after: int64(after)}
	if err == nil {
		_, err = r.receive() // that it was made
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: watch: %w", err)
	}
	return r, nil
}

func (r *reader) receive() (*pb.WatchResponse, error) {
	m, err := r.stream.Recv()
	switch {
	case err != nil:
		return nil, err
	case m.CompactRevision > 0:
		return nil, errCompacted
	case m.Canceled:
		return nil, fmt.Errorf("cluster: watch: %s", m.CancelReason)
	}
	return m, nil
}

// next returns the next changes, in the order of revisions.
func (r *reader) next() ([]change, error) {
	for {
		m, err := r.receive()
		if err != nil {
			return nil, err
		}
		r.queue = append(r.queue, m.Events...)
		switch {
		case m.Fragment:
		case len(r.queue) > 0:
			if all := r.changes(); len(all) > 0 {
				return all, nil
			}
		case m.Header.Revision > r.after:
			r.after = m.Header.Revision
			return []change{{revision: r.after}}, nil
		}
	}
}

// changes takes the events of the queue, and puts those of the same revision together.
func (r *reader) changes() (all []change) {
	for _, event := range r.queue {
		revision := event.Kv.ModRevision
		if revision <= r.after && len(all) == 0 {
			continue
		}
		if revision > r.after {
			r.after = revision
			all = append(all, change{revision: revision})
		}
		last := &all[len(all)-1]
		last.events = append(last.events, event)
	}
	r.queue = nil
	return all
}
