package machines

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vigil-go/vigil/cluster"
)

// The keys, and the subject, by which is asked and answered.
const asking, answering = "ask", "answer"

// pick returns the key that an end writes, and that which it reads.
func pick(answers bool) (write, read string) {
	if answers {
		return answering, asking
	}
	return asking, answering
}

type vigilEnd struct {
	b *cluster.Bucket
	m *cluster.Map[string]
}

func vigilLine(ctx context.Context, address string, _ bool) (line, error) {
	b, err := cluster.Open(ctx, &cluster.Options{Addresses: []string{address}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	m, err := cluster.NewMap[string](b, &cluster.MapOptions{Codec: cluster.Raw})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &vigilEnd{b, m}, nil
}

func (e *vigilEnd) ask(ctx context.Context, what string) error {
	if _, err := e.m.Store(ctx, asking, what); err != nil {
		return err
	}
	_, err := e.m.WaitFor(ctx, answering, func(v string) bool { return v == what })
	return err
}

func (e *vigilEnd) answer(ctx context.Context) error {
	for v, err := range e.m.Watch(ctx, asking) {
		if err != nil {
			return err
		}
		if _, err := e.m.Store(ctx, answering, v); err != nil {
			return err
		}
	}
	return nil
}

func (e *vigilEnd) close() error { return e.b.Close() }

type requestEnd struct{ nc *nats.Conn }

func requestLine(_ context.Context, address string, answers bool) (line, error) {
	nc, err := nats.Connect(address)
	if err != nil {
		return nil, err
	}
	if answers {
		_, err = nc.Subscribe(asking, func(m *nats.Msg) { m.Respond(m.Data) }) // fails only if the connection is closed
		err = errors.Join(err, nc.Flush())
	}
	return &requestEnd{nc}, err
}

func (e *requestEnd) ask(ctx context.Context, what string) error {
	_, err := e.nc.RequestWithContext(ctx, asking, []byte(what))
	return err
}

func (e *requestEnd) answer(ctx context.Context) error {
	<-ctx.Done() // the subscription answers
	return ctx.Err()
}

func (e *requestEnd) close() error { e.nc.Close(); return nil }

type watchEnd struct {
	nc    *nats.Conn
	kv    jetstream.KeyValue
	heard jetstream.KeyWatcher
}

// watchLine has a bucket with the same settings as that of package natsengine.
func watchLine(ctx context.Context, address string, answers bool) (line, error) {
	nc, err := nats.Connect(address)
	if err != nil {
		return nil, err
	}
	e := &watchEnd{nc: nc}
	js, err := jetstream.New(nc)
	if err == nil {
		e.kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "watch", History: 1, LimitMarkerTTL: time.Hour})
	}
	if err == nil {
		_, read := pick(answers)
		e.heard, err = e.kv.Watch(ctx, read, jetstream.UpdatesOnly())
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return e, nil
}

func (e *watchEnd) ask(ctx context.Context, what string) error {
	if _, err := e.kv.PutString(ctx, asking, what); err != nil {
		return err
	}
	for {
		v, err := e.next(ctx)
		if err != nil || v == what {
			return err
		}
	}
}

func (e *watchEnd) next(ctx context.Context) (string, error) {
	for {
		select {
		case entry := <-e.heard.Updates():
			if entry != nil { // nil means that the initial values are over
				return string(entry.Value()), nil
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (e *watchEnd) answer(ctx context.Context) error {
	for {
		v, err := e.next(ctx)
		if err != nil {
			return err
		}
		if _, err := e.kv.PutString(ctx, answering, v); err != nil {
			return err
		}
	}
}

func (e *watchEnd) close() error { e.nc.Close(); return nil }

type etcdEnd struct {
	c     *clientv3.Client
	heard clientv3.WatchChan
}

func etcdLine(ctx context.Context, address string, answers bool) (line, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}, DialTimeout: limit})
	if err != nil {
		return nil, err
	}
	_, read := pick(answers)
	e := &etcdEnd{c, c.Watch(ctx, read, clientv3.WithCreatedNotify())}
	select {
	case <-e.heard: // it is there
		return e, nil
	case <-time.After(limit):
		return nil, errors.Join(errors.New("machines: etcd makes no watch"), c.Close())
	}
}

func (e *etcdEnd) ask(ctx context.Context, what string) error {
	if _, err := e.c.Put(ctx, asking, what); err != nil {
		return err
	}
	for r := range e.heard {
		for _, event := range r.Events {
			if string(event.Kv.Value) == what {
				return nil
			}
		}
	}
	return ctx.Err()
}

func (e *etcdEnd) answer(ctx context.Context) error {
	for r := range e.heard {
		for _, event := range r.Events {
			if _, err := e.c.Put(ctx, answering, string(event.Kv.Value)); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (e *etcdEnd) close() error { return e.c.Close() }

// pollInterval is how often Redis is asked.
const pollInterval = 10 * time.Millisecond

type redisEnd struct{ c *redis.Client }

func redisLine(ctx context.Context, address string, _ bool) (line, error) {
	c := redis.NewClient(&redis.Options{Addr: address})
	return &redisEnd{c}, c.Ping(ctx).Err()
}

func (e *redisEnd) ask(ctx context.Context, what string) error {
	if err := e.c.Set(ctx, asking, what, 0).Err(); err != nil {
		return err
	}
	_, err := e.poll(ctx, answering, func(v string) bool { return v == what })
	return err
}

// poll asks for key until its value is what is wanted.
func (e *redisEnd) poll(ctx context.Context, key string, ok func(string) bool) (string, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		v, err := e.c.Get(ctx, key).Result()
		if err == nil && ok(v) || err != nil && !errors.Is(err, redis.Nil) {
			return v, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (e *redisEnd) answer(ctx context.Context) error {
	for last := ""; ; {
		v, err := e.poll(ctx, asking, func(v string) bool { return v != last })
		if err != nil {
			return err
		}
		last = v
		if err := e.c.Set(ctx, answering, v, 0).Err(); err != nil {
			return err
		}
	}
}

func (e *redisEnd) close() error { return e.c.Close() }
