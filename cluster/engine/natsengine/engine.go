package natsengine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/vigil-go/vigil/cluster/engine"
)

// An Engine is a bucket in a JetStream stream. Open returns one.
type Engine struct {
	o      *Options
	nc     *nats.Conn
	js     jetstream.JetStream
	stream string
	prefix string // of the subjects of keys
	id     string // random

	markerTTL time.Duration // zero: markers are not forgotten, and there are no TTLs
	window    time.Duration // for which the server knows the ids of writes

	ctx    context.Context // ends on Close
	cancel context.CancelCauseFunc

	links struct { // a context for each connection, which ends with it
		sync.Mutex
		ctx    context.Context
		cancel context.CancelFunc
	}

	replicated atomic.Bool // several servers have the stream
	positions  *shared[moment]
	newest     atomic.Uint64 // a revision that the bucket has had; only ever too low
	watching   atomic.Bool   // and so lastWatch is in use
	lastWatch  watch         // how far the last Watch came
	look       chan struct{} // tells the Watch to look whether it is up to date
	broken     chan struct{} // tells the Watch that the connection was made anew
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
		o: o, stream: "KV_" + o.Bucket, prefix: "$KV." + o.Bucket + ".",
		id: nuid.Next(), positions: newShared[moment](), look: make(chan struct{}, 1), broken: make(chan struct{}, 1),
	}
	if err := e.connect(ctx); err != nil {
		return nil, err
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	if err := e.open(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// connect connects, and tries again until ctx ends.
func (e *Engine) connect(ctx context.Context) (err error) {
	e.relink()
	options := append(e.o.connection(), nats.DisconnectErrHandler(func(*nats.Conn, error) { e.relink() }),
		nats.ReconnectHandler(func(*nats.Conn) { signal(e.broken) }))
	for retry := newBackoff(); ; {
		e.nc, err = nats.Connect(joined(e.o.Addresses), options...)
		if err == nil {
			break
		}
		if e.o.Server != nil || refused(err) || retry.sleep(ctx) != nil {
			return fmt.Errorf("cluster: connect: %w", errors.Join(err, endOf(ctx)))
		}
	}
	if e.js, err = jetstream.New(e.nc); err != nil {
		e.nc.Close()
		return fmt.Errorf("cluster: connect: %w", err)
	}
	return nil
}

// refused reports whether a connection that failed so would fail again.
func refused(err error) bool {
	certificate := new(tls.CertificateVerificationError)
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) ||
		errors.Is(err, nats.ErrSecureConnWanted) || errors.Is(err, fs.ErrNotExist) || errors.As(err, &certificate)
}

// open finds or makes the stream, and its history's identity.
func (e *Engine) open(ctx context.Context) error {
	config, err := e.ensure(ctx)
	if err != nil {
		return err
	}
	if err := e.adopt(config); err != nil {
		return err
	}
	p, err := e.position(ctx)
	if err == nil {
		e.saw(p.Revision)
	}
	return err
}

// ensure returns the configuration of the stream, which it makes if there is none.
func (e *Engine) ensure(ctx context.Context) (c jetstream.StreamConfig, err error) {
	err = e.retry(ctx, func(ctx context.Context) error {
		s, err := e.js.Stream(ctx, e.stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = e.create(ctx)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // made by another process, with other options
				s, err = e.js.Stream(ctx, e.stream)
			}
		}
		if err == nil {
			c = s.CachedInfo().Config
		}
		return err
	})
	return c, err
}

// create makes the stream.
func (e *Engine) create(ctx context.Context) (jetstream.Stream, error) {
	if e.o.Replicas > 0 {
		return e.js.CreateStream(ctx, e.config(e.o.Replicas))
	}
	s, err := e.js.CreateStream(ctx, e.config(3))
	if bad := new(jetstream.APIError); errors.As(err, &bad) && bad.ErrorCode == codeNotClustered {
		return e.js.CreateStream(ctx, e.config(1))
	}
	return s, err
}

// config is that of a key-value bucket with a history of one message for each key. Gets go
// to the leader only.
func (e *Engine) config(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: e.stream, Subjects: []string{e.prefix + ">"}, Storage: jetstream.FileStorage, Replicas: replicas,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DenyDelete: true, AllowRollup: true,
		AllowMsgTTL: true, SubjectDeleteMarkerTTL: e.o.MarkerTTL, Duplicates: e.o.DuplicateWindow,
	}
}

// adopt takes over what others may have decided, and refuses streams that forget values
// without telling.
func (e *Engine) adopt(c jetstream.StreamConfig) error {
	e.window = c.Duplicates
	if c.AllowMsgTTL && c.SubjectDeleteMarkerTTL > 0 {
		e.markerTTL = c.SubjectDeleteMarkerTTL
	}
	switch {
	case c.Discard == jetstream.DiscardOld && (c.MaxMsgs > 0 || c.MaxBytes > 0):
		return fmt.Errorf("cluster: stream %s drops old values when it is full", c.Name)
	case c.MaxAge > 0 && e.markerTTL == 0:
		return fmt.Errorf("cluster: stream %s drops old values, and leaves no markers of that", c.Name)
	case c.MaxMsgsPerSubject != 1:
		return fmt.Errorf("cluster: stream %s keeps %d messages for each key instead of 1: deleted values would come back", c.Name, c.MaxMsgsPerSubject)
	case c.Mirror != nil:
		return fmt.Errorf("cluster: stream %s is a mirror, to which nobody can write", c.Name)
	}
	return nil
}

// Close closes the connection. It does not change the stream.
func (e *Engine) Close() error {
	if e.cancel != nil {
		e.cancel(engine.ErrClosed)
	}
	e.nc.Close()
	return nil
}

// relink ends the context of the last connection and makes one for the next.
func (e *Engine) relink() {
	e.links.Lock()
	defer e.links.Unlock()
	if e.links.cancel != nil {
		e.links.cancel()
	}
	e.links.ctx, e.links.cancel = context.WithCancel(context.Background())
}

// link returns a context that ends when the connection is lost.
func (e *Engine) link() context.Context {
	e.links.Lock()
	defer e.links.Unlock()
	return e.links.ctx
}

// saw notes a revision that the bucket has.
func (e *Engine) saw(revision uint64) {
	for {
		old := e.newest.Load()
		if revision <= old || e.newest.CompareAndSwap(old, revision) {
			return
		}
	}
}

// run returns a context that ends with ctx and with the Engine.
func (e *Engine) run(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(engine.ErrClosed) })
	return both, func(err error) { stop(); cancel(err) }
}

// ended returns an error if ctx or the Engine has ended.
func (e *Engine) ended(ctx context.Context) error {
	if e.ctx.Err() != nil {
		return engine.ErrClosed
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
