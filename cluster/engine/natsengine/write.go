package natsengine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/vigil-go/vigil/cluster/engine"
)

// Get asks the leader of the stream.
func (e *Engine) Get(ctx context.Context, key string, min uint64) (entry engine.Entry, ok bool, err error) {
	subject, err := e.subject(key)
	if err != nil {
		return entry, false, err
	}
	err = e.retry(ctx, func(ctx context.Context) error {
		if min > e.newest.Load() { // or else the leader has had it
			p, err := e.inspect(ctx)
			if err != nil {
				return err
			}
			if p.Revision < min {
				return fmt.Errorf("cluster: the server has revision %d, not yet %d", p.Revision, min)
			}
			e.saw(p.Revision)
		}
		m, err := e.message(ctx, query{Last: subject})
		entry, ok = engine.Entry{}, false
		if err != nil || m == nil {
			return err
		}
		entry.Revision, ok = m.Seq, !deletes(m.header)
		if ok {
			entry.Value = m.Data
		}
		return nil
	})
	return entry, ok, err
}

func (e *Engine) subject(key string) (string, error) {
	token, err := encode(key)
	return e.prefix + keyPrefix + token, err
}

// Write publishes a message. The documentation of the package says what happens if the
// server's answer is lost.
func (e *Engine) Write(ctx context.Context, w engine.Write) (uint64, error) {
	if err := w.Check(); err != nil {
		return 0, err
	}
	subject, err := e.subject(w.Key)
	if err != nil {
		return 0, err
	}
	if w.TTL > 0 && e.markerTTL == 0 {
		return 0, fmt.Errorf("%w: stream %s has no TTL for delete markers (SubjectDeleteMarkerTTL)", engine.ErrNoTTL, e.stream)
	}
	p := &put{e: e, key: w.Key, msg: e.prepare(subject, &w), expected: w.Expected, any: w.Unconditional}
	for {
		revision, err := p.send(ctx)
		if !errors.Is(err, errAgain) {
			return revision, err
		}
		p = &put{e: e, key: w.Key, msg: e.prepare(subject, &w), expected: p.expected, absent: true}
	}
}

// prepare returns the message of a write, with an id of its own.
func (e *Engine) prepare(subject string, w *engine.Write) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: w.Value, Header: nats.Header{idHeader: {nuid.Next()}}}
	ttl := w.TTL
	if w.Delete {
		m.Header.Set(opHeader, opPurge)
		ttl = e.markerTTL
	}
	if ttl > 0 {
		m.Header.Set(ttlHeader, ((ttl + time.Second - 1) / time.Second * time.Second).String())
	}
	return m
}

// A put is a message that is sent until its fate is known.
type put struct {
	e        *Engine
	key      string
	msg      *nats.Msg
	expected uint64
	any      bool // expected does not matter
	absent   bool // expected is the marker of a deletion

	before uint64    // a revision that the bucket had before the message was first sent
	begun  time.Time // when that was
	lost   error     // why it may have been applied although there was no answer
	server string    // the server to which it was sent then, if it was only one
}

// errAgain means that the key is absent, but has a marker whose revision is expected now.
var errAgain = errors.New("cluster: a deletion marker is there")

// send sends the message until its fate is known, or ctx or the Engine ends.
func (p *put) send(ctx context.Context) (uint64, error) {
	if !p.any {
		p.msg.Header.Set(expectedHeader, strconv.FormatUint(p.expected, 10))
	}
	p.before, p.begun = p.e.newest.Load(), time.Now()
	for retry := newBackoff(); ; {
		if err := p.e.ended(ctx); err != nil {
			return 0, p.failed(err)
		}
		if p.lost != nil && time.Since(p.begun) > p.e.window/2 {
			return 0, p.failed(errors.New("the server may not know the write's id any more"))
		}
		revision, err := p.attempt(ctx)
		if err != errPending {
			return revision, err
		}
		if err := p.e.wait(ctx, retry); err != nil {
			return 0, p.failed(p.e.ended(ctx))
		}
	}
}

// failed returns the error of a write that was given up for err.
func (p *put) failed(err error) error {
	if p.lost == nil {
		return err
	}
	return fmt.Errorf("%w: a write of %q: %w (%w)", engine.ErrUnknown, p.key, err, p.lost)
}

// errPending means that the fate of a message is not known yet.
var errPending = errors.New("cluster: pending")

// attempt looks for the message if it may have been applied, and sends it.
func (p *put) attempt(ctx context.Context) (uint64, error) {
	if p.lost != nil {
		if revision, err := p.find(ctx); err != nil || revision > 0 {
			return revision, err
		}
	}
	server := p.e.nc.ConnectedServerId()
	revision, err := p.publish(ctx)
	switch bad := new(jetstream.APIError); {
	case err == nil:
		p.e.acknowledged(revision, p.before)
		return revision, nil
	case conflicts(err):
		return p.conflict(ctx)
	case errors.As(err, &bad) && bad.ErrorCode == codeTTLDisabled:
		return 0, fmt.Errorf("%w: stream %s: %w", engine.ErrNoTTL, p.e.stream, err)
	case final(err):
		return 0, p.failed(err)
	case !unsent(err):
		if p.lost != nil && server != p.server {
			server = ""
		}
		p.lost, p.server = err, server
	}
	return 0, errPending
}

func (p *put) publish(ctx context.Context) (revision uint64, err error) {
	ctx, cancel := p.e.run(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeout(ctx, p.e.o.AckTimeout)
	defer stop()
	defer context.AfterFunc(p.e.link(), func() { cancel(nats.ErrDisconnected) })() // no answer will come
	ack, err := p.e.js.PublishMsg(ctx, p.msg, jetstream.WithRetryAttempts(0))
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil:
		return 0, err
	}
	return ack.Sequence, nil
}

// acknowledged notes the revision of an own write. A revision that the bucket had before
// is one of another history.
func (e *Engine) acknowledged(revision, before uint64) {
	if revision <= before {
		signal(e.look)
	}
	e.saw(revision)
}

// unsent reports whether a message that failed so cannot have been applied.
func unsent(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrReconnectBufExceeded)
}

// find returns the revision of the message if it is the last of its key, and zero if it was
// not applied so far, or if the server knows whether it was.
func (p *put) find(ctx context.Context) (uint64, error) {
	last, err := p.last(ctx)
	switch {
	case err != nil:
		return 0, errPending
	case last == nil || last.Seq <= p.before:
		return 0, nil
	case last.header.Get(idHeader) == p.msg.Header.Get(idHeader):
		p.e.acknowledged(last.Seq, p.before)
		return last.Seq, nil
	}
	same, err := p.sameServer(ctx)
	switch {
	case err != nil:
		return 0, errPending
	case same:
		return 0, nil
	}
	return 0, p.failed(errors.New("a newer write of the key has come in, and the server may have forgotten this one"))
}

// last returns the last message of the key.
func (p *put) last(ctx context.Context) (m *stored, err error) {
	err = p.e.once(ctx, func(ctx context.Context) (err error) {
		m, err = p.e.message(ctx, query{Last: p.msg.Subject})
		return err
	})
	return m, err
}

// sameServer reports whether the server that got the message still runs and is the only one
// that has the stream. Then it knows the ids of all that it has applied. It fails if there
// is no connection.
func (p *put) sameServer(ctx context.Context) (same bool, err error) {
	err = p.e.once(ctx, func(ctx context.Context) error {
		server := p.e.nc.ConnectedServerId()
		s, err := p.e.js.Stream(ctx, p.e.stream)
		switch {
		case err != nil:
			return err
		case server == "":
			return nats.ErrDisconnected
		}
		same = s.CachedInfo().Cluster == nil && server == p.server
		return nil
	})
	return same, err
}

// conflict says why the server refused the message for its expectation. The
// server looks at the id first, so a message that it knows is not refused.
func (p *put) conflict(ctx context.Context) (uint64, error) {
	last, err := p.last(ctx)
	if err != nil {
		return 0, errPending
	}
	if p.lost != nil && last != nil && last.Seq > p.before {
		if revision, err := p.find(ctx); err != nil || revision > 0 {
			return revision, err
		}
	}
	if last == nil {
		return p.vanished(ctx)
	}
	p.e.saw(last.Seq)
	switch gone := deletes(last.header); {
	case last.Seq == p.expected:
		return 0, errPending // another write of the key is in flight, and may yet fail
	case gone && p.wantsAbsent():
		p.expected, p.absent = last.Seq, true
		return 0, errAgain
	}
	return 0, &engine.ConflictError{Key: p.key, Revision: last.Seq}
}

// wantsAbsent reports whether the write is one of a key that must be absent.
func (p *put) wantsAbsent() bool { return !p.any && (p.expected == 0 || p.absent) }

// vanished says what a refusal means if there is no trace of the key.
func (p *put) vanished(ctx context.Context) (uint64, error) {
	if p.wantsAbsent() { // the marker has expired
		p.expected, p.absent = 0, true
		return 0, errAgain
	}
	at, err := p.e.position(ctx)
	if err != nil {
		return 0, p.failed(err)
	}
	return 0, &engine.ConflictError{Key: p.key, Revision: at.Revision}
}
