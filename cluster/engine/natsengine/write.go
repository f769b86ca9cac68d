package natsengine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/vigil-go/vigil/cluster/engine"
)

// Get asks the leader of the stream. In a replicated one, a leader that was deposed may answer by
// an old state.
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
	p := &put{e: e, w: &w, subject: subject, expected: w.Expected, retry: newBackoff()}
	for {
		if err := p.e.ended(ctx); err != nil {
			return 0, p.failed(err)
		}
		revision, err := p.step(ctx)
		switch {
		case errors.Is(err, errAgain):
		case !errors.Is(err, errPending):
			return revision, err
		case p.e.wait(ctx, p.retry) != nil:
			return 0, p.failed(p.e.ended(ctx))
		}
	}
}

// A put is a write that is tried until its fate is known.
type put struct {
	e       *Engine
	w       *engine.Write
	subject string

	expected uint64 // w.Expected, or the marker of a deletion if the key must be absent

	tries  []string  // the ids of all tries
	id     string    // of the last try
	before uint64    // a revision that the bucket had before it
	begun  time.Time // when that was
	server string    // to which it was sent
	lost   error     // why it may have been applied although there was no answer
	doubt  error     // why it may have been applied although it was refused

	retry   *backoff
	checked bool // the leader was one when a conflict was found
}

var (
	errPending = errors.New("cluster: the fate of the write is not known yet")
	errAgain   = errors.New("cluster: the write can be tried again")

	errDoubt = errors.New("the server that has refused it may not have been the leader any more")
)

// failed returns the error of a write that was given up for err.
func (p *put) failed(err error) error {
	why := cmp.Or(p.lost, p.doubt)
	if why == nil {
		return err
	}
	return fmt.Errorf("%w: a write of %q: %w (%w)", engine.ErrUnknown, p.w.Key, err, why)
}

// begin begins a try.
func (p *put) begin() {
	p.id, p.before, p.begun, p.server = nuid.Next(), p.e.newest.Load(), time.Now(), p.e.nc.ConnectedServerId()
	p.tries = append(p.tries, p.id)
}

// wrote reports whether one of the tries has written a message.
func (p *put) wrote(m *stored) bool { return slices.Contains(p.tries, m.header.Get(idHeader)) }

// step sends the message, or looks what has become of it.
func (p *put) step(ctx context.Context) (uint64, error) {
	if p.lost != nil {
		return p.settle(ctx)
	}
	p.begin()
	ack, err := p.e.publish(ctx, p.message())
	switch bad := new(jetstream.APIError); {
	case err == nil:
		p.e.acknowledged(ack.Sequence, p.before)
		return ack.Sequence, nil
	case conflicts(err):
		return p.conflict(ctx)
	case errors.As(err, &bad) && bad.ErrorCode == codeTTLDisabled:
		return 0, fmt.Errorf("%w: stream %s: %w", engine.ErrNoTTL, p.e.stream, err)
	case final(err):
		return 0, p.failed(err)
	case !unsent(err):
		p.lost = err
		return 0, errAgain
	}
	return 0, errPending
}

// message returns the message of the write.
func (p *put) message() *nats.Msg {
	m := &nats.Msg{Subject: p.subject, Data: p.w.Value, Header: nats.Header{idHeader: {p.id}}}
	ttl := p.w.TTL
	if p.w.Delete {
		m.Header.Set(opHeader, opPurge)
		ttl = p.e.markerTTL
	}
	setTTL(m, ttl)
	if !p.w.Unconditional {
		m.Header.Set(expectedHeader, strconv.FormatUint(p.expected, 10))
	}
	return m
}

// longestTTL is one that the server can add to a date. With more, the value would end at
// once.
const longestTTL = 100 * 365 * 24 * time.Hour

func setTTL(m *nats.Msg, ttl time.Duration) {
	if ttl = min(ttl, longestTTL); ttl > 0 {
		m.Header.Set(ttlHeader, ((ttl + time.Second - 1) / time.Second * time.Second).String())
	}
}

// An unanswered is the error of a message whose answer was not waited for any longer.
type unanswered struct{ cause error }

func (u unanswered) Error() string { return "cluster: no answer: " + u.cause.Error() }

// publish sends a message once. It does not wait for the answer when the connection is lost,
// because then none will come.
func (e *Engine) publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeout(ctx, e.o.AckTimeout)
	defer stop()
	defer context.AfterFunc(e.link(), func() { cancel(nats.ErrDisconnected) })()
	ack, err := e.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil && ctx.Err() != nil {
		return nil, unanswered{context.Cause(ctx)}
	}
	return ack, err
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

// conflict says why the server refused the message for its expectation. While there are a leader and one
// that was deposed, both get the message: one may refuse it, and the other one apply it.
func (p *put) conflict(ctx context.Context) (uint64, error) {
	if p.e.replicated.Load() {
		p.doubt = errDoubt
	}
	last, err := p.last(ctx, p.subject)
	if err != nil {
		return 0, errPending
	}
	if last != nil && p.wrote(last) {
		return p.applied(last.Seq)
	}
	if p.doubts(last) {
		if _, err := p.e.writeBarrier(ctx); err != nil {
			return 0, p.failed(err)
		}
		p.checked = true
		return 0, errAgain
	}
	if last == nil {
		return p.vanished(ctx)
	}
	p.e.saw(last.Seq)
	switch {
	case last.Seq == p.expected:
		return 0, errPending // another write of the key is in flight, and may yet fail
	case deletes(last.header) && p.w.Expected == 0:
		p.expected = last.Seq
		return 0, errAgain
	}
	return 0, &engine.ConflictError{Key: p.w.Key, Revision: last.Seq}
}

// doubts reports whether a leader that was deposed may have refused the message, by an old
// state. If the key has a newer revision than the expected one, it will never have that again.
func (p *put) doubts(last *stored) bool {
	if p.checked || !p.e.replicated.Load() {
		return false
	}
	return last == nil || last.Seq < p.expected || p.w.Expected == 0 && !deletes(last.header)
}

// vanished says what a refusal means if there is no trace of the key.
func (p *put) vanished(ctx context.Context) (uint64, error) {
	switch {
	case p.expected == 0: // another write of the key is in flight, or was for a moment
		return 0, errPending
	case p.w.Expected == 0: // the marker has expired
		p.expected = 0
		return 0, errAgain
	}
	at, err := p.e.position(ctx)
	if err != nil {
		return 0, p.failed(err)
	}
	return 0, &engine.ConflictError{Key: p.w.Key, Revision: at.Revision}
}

// last returns the last message of a subject.
func (p *put) last(ctx context.Context, subject string) (m *stored, err error) {
	err = p.e.within(ctx, p.retry.timeout, func(ctx context.Context) (err error) {
		m, err = p.e.message(ctx, query{Last: subject})
		return err
	})
	return m, err
}
