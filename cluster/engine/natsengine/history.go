package natsengine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/vigil-go/vigil/cluster/engine"
)

// birth is the key of the message that identifies the history. No encoded key is like it,
// because these have the prefix of keys.
const (
	birth     = "_history"
	barrier   = "_sync" // see Engine.current and Engine.barrier
	keyPrefix = "k."
)

// A moment is what the server says about the stream at some time.
type moment struct {
	engine.Position
	birth uint64    // the sequence number of the message that identifies the history
	asked time.Time // a time before the server said it, by this machine's clocks
	time  time.Time // when it said it, by the server's clock
}

// Position returns the newest sequence number, and the identity of the history.
func (e *Engine) Position(ctx context.Context) (engine.Position, error) {
	p, err := e.current(ctx)
	if err == nil {
		signal(e.look)
	}
	return p.Position, err
}

// current is position, but it counts all writes that have returned. Calls at the same time share
// an answer.
func (e *Engine) current(ctx context.Context) (moment, error) {
	both, cancel := e.run(ctx)
	defer cancel(nil)
	p, err := e.positions.do(both, func() (moment, error) { return e.confirmed(ctx) })
	if errors.Is(err, errNoTurn) {
		err = e.ended(ctx)
	}
	return p, err
}

// confirmed is current for one call. The leader of a replicated stream that is cut off from the
// others, or was stopped, goes on to answer requests for some time after another one was elected.
// A message that is written has been stored by a majority, so what has its sequence number is
// new enough.
func (e *Engine) confirmed(ctx context.Context) (p moment, err error) {
	for retry := newBackoff(); ; {
		written := e.replicated.Load()
		least := uint64(0)
		if written {
			if least, err = e.writeBarrier(ctx); err != nil {
				return moment{}, err
			}
		}
		p, err = e.position(ctx)
		if err != nil || p.Revision >= least && written == e.replicated.Load() {
			return p, err
		}
		if e.wait(ctx, retry) != nil {
			return moment{}, e.ended(ctx)
		}
	}
}

// writeBarrier writes a message that says nothing, and returns its sequence number.
func (e *Engine) writeBarrier(ctx context.Context) (seq uint64, err error) {
	err = e.retry(ctx, func(ctx context.Context) error {
		ack, err := e.js.PublishMsg(ctx, e.barrier(), jetstream.WithRetryAttempts(0))
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, err
}

// barrier returns a message that says nothing. It replaces the last one of the same Engine only. If it
// replaced those of others, watches would miss them and, as nothing tells what was missed, write one
// each, which might be missed in turn.
func (e *Engine) barrier() *nats.Msg {
	m := &nats.Msg{Subject: e.prefix + barrier, Header: nats.Header{opHeader: {opPurge}}}
	if e.markerTTL > 0 { // or else it would stay when the Engine is closed
		m.Subject += "." + e.id
		setTTL(m, e.window)
	}
	return m
}

// position asks the leader, or one that was the leader a short time ago.
func (e *Engine) position(ctx context.Context) (p moment, err error) {
	err = e.retry(ctx, func(ctx context.Context) (err error) {
		p, err = e.inspect(ctx)
		return err
	})
	return p, err
}

var errMoving = errors.New("cluster: the history changes while it is looked at")

// inspect asks for the identity first. What is asked for next tells whether the
// message with the identity has been purged in between.
func (e *Engine) inspect(ctx context.Context) (p moment, err error) {
	p.asked = time.Now()
	id, err := e.message(ctx, query{Last: e.prefix + birth})
	if err != nil {
		return p, err
	}
	if id == nil || deletes(id.header) {
		return p, errors.Join(errMoving, e.begin(ctx, id))
	}
	s, err := e.js.Stream(ctx, e.stream)
	if err != nil {
		return p, err
	}
	info := s.CachedInfo()
	e.replicated.Store(info.Config.Replicas > 1)
	if info.State.FirstSeq > id.Seq || info.State.LastSeq < id.Seq {
		return p, errMoving
	}
	p.History = fmt.Sprintf("%d/%d/%s", info.Created.UnixNano(), id.Seq, id.Data)
	p.Revision, p.birth, p.time = info.State.LastSeq, id.Seq, info.TimeStamp
	return p, nil
}

// disown gives the bucket another history, because this one is shorter than it was: the
// server has lost writes. It returns errRestart, or why it could not.
func (e *Engine) disown(ctx context.Context, p moment) error {
	e.o.Logger.Error("vigil cluster: the server has lost writes", "bucket", e.o.Bucket, "revision", p.Revision)
	err := e.once(ctx, func(ctx context.Context) error { return e.begin(ctx, &stored{Seq: p.birth}) })
	if err != nil {
		return err
	}
	return errRestart
}

// begin writes the message that identifies the history. If another process is faster, its
// message counts.
func (e *Engine) begin(ctx context.Context, marker *stored) error {
	m := &nats.Msg{Subject: e.prefix + birth, Data: []byte(nuid.Next())}
	last := uint64(0)
	if marker != nil {
		last = marker.Seq
	}
	_, err := e.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(last), jetstream.WithRetryAttempts(0))
	if conflicts(err) {
		return nil
	}
	return err
}

// conflicts reports whether the server refused a message for its expected sequence number.
func conflicts(err error) bool {
	bad := new(jetstream.APIError)
	return errors.As(err, &bad) && (bad.ErrorCode == codeWrongSequence || bad.ErrorCode == codeSequenceInFlight)
}
