package etcdengine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/vigil-go/vigil/cluster/engine"
)

// An Engine is a bucket in etcd. Open returns one.
type Engine struct {
	o      *Options
	client *clientv3.Client
	stop   func() error // closes it, if it is the Engine's
	conn   *grpc.ClientConn
	kv     clientv3.KV
	leases pb.LeaseClient
	prefix string // of all keys of the bucket

	ctx     context.Context // ends on Close
	cancel  context.CancelCauseFunc
	workers sync.WaitGroup

	history  atomic.Pointer[history] // not nil after Open
	watching atomic.Bool             // and so unfinished is in use
	look     chan struct{}           // tells the Watch that a revision is wanted
	unused   chan int64              // leases without a key

	unfinished bool // the last Watch has told Reset or Skipped, and no Synced after it
}

var _ engine.Engine = (*Engine)(nil)

// Open opens the bucket, and makes it if it does not exist. It waits until a server
// answers or ctx ends.
func Open(ctx context.Context, o *Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		o: o, client: o.Client, stop: func() error { return nil }, prefix: o.Prefix + o.Bucket + "/", look: make(chan struct{}, 1), unused: make(chan int64, maxUnused),
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.workers.Go(e.revokeUnused)
	return e, nil
}

// open connects, and finds or makes the identity of the history.
func (e *Engine) open(ctx context.Context) error {
	for retry := newBackoff(); e.client == nil; {
		client, stop, err := e.o.connect(ctx)
		if err == nil {
			e.client, e.stop = client, stop
			break
		}
		if final(err) || retry.sleep(ctx) != nil {
			return fmt.Errorf("cluster: connect: %w", errors.Join(endOf(ctx), err))
		}
	}
	e.conn = e.client.ActiveConnection()
	e.kv = clientv3.NewKVFromKVClient(onceKV{clientv3.RetryKVClient(e.client)}, e.client)
	e.leases = clientv3.RetryLeaseClient(e.client)
	if err := e.reach(ctx); err != nil {
		return fmt.Errorf("cluster: connect: %w", err)
	}
	_, _, err := e.position(ctx)
	return err
}

// reach waits until a server answers. If ctx ends first, the error says why none did.
func (e *Engine) reach(ctx context.Context) error {
	request := &pb.RangeRequest{Key: []byte(e.prefix + historyKey), CountOnly: true}
	var why error
	err := e.retry(ctx, func(ctx context.Context) error {
		_, err := pb.NewKVClient(e.conn).Range(ctx, request, grpc.WaitForReady(false))
		err = rpctypes.Error(err)
		if ctx.Err() == nil {
			why = err
		}
		return err
	})
	if err != nil && endOf(ctx) != nil {
		return errors.Join(endOf(ctx), why)
	}
	return err
}

// A onceKV is a client of etcd that sends each transaction once. A client repeats one if the
// answer is that it was canceled, although it may have been applied.
type onceKV struct{ pb.KVClient }

func (o onceKV) Txn(ctx context.Context, in *pb.TxnRequest, options ...grpc.CallOption) (*pb.TxnResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return o.KVClient.Txn(ctx, in, append(options, grpc.OnFinish(func(error) { cancel() }))...)
}

// Close closes the connection. It does not change the bucket.
func (e *Engine) Close() error {
	e.cancel(engine.ErrClosed)
	e.workers.Wait()
	return e.stop()
}

// connected waits for a connection to a server.
func (e *Engine) connected(ctx context.Context) error {
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	for {
		state := e.conn.GetState()
		if state == connectivity.Ready || state == connectivity.Shutdown {
			return e.ended(ctx)
		}
		e.conn.Connect()
		if !e.conn.WaitForStateChange(ctx, state) {
			return e.ended(ctx)
		}
	}
}

// run returns a context that ends with ctx and with the Engine.
func (e *Engine) run(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(engine.ErrClosed) })
	return both, func(err error) { stop(); cancel(err) }
}

// ended returns an error if ctx, the Engine or its client has ended.
func (e *Engine) ended(ctx context.Context) error {
	switch {
	case e.ctx.Err() != nil:
		return engine.ErrClosed
	case e.conn.GetState() == connectivity.Shutdown:
		return fmt.Errorf("%w: its client is", engine.ErrClosed)
	}
	return endOf(ctx)
}

// endOf returns the error of a context that has ended, and otherwise nil.
func endOf(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return engine.ContextError(ctx)
}

// signal makes a receive from c return, now or later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
