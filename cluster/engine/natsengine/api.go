package natsengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/vigil-go/vigil/cluster/engine"
)

// The headers that the server knows.
const (
	idHeader       = "Nats-Msg-Id"
	expectedHeader = "Nats-Expected-Last-Subject-Sequence"
	ttlHeader      = "Nats-TTL"
	reasonHeader   = "Nats-Marker-Reason" // of markers that the server writes
	opHeader       = "KV-Operation"

	opPurge  = "PURGE" // a marker that expires without leaving another one
	opDelete = "DEL"
)

// Numbers of the server's errors.
const (
	codeWrongSequence     = 10071
	codeSequenceInFlight  = 10164
	codeTTLDisabled       = 10166
	codeNoMessage         = 10037
	codeSameID            = 10158
	codeNotClustered      = 10074
	statusUnavailable     = 503
	firstDelay, lastDelay = 20 * time.Millisecond, time.Second

	// A server does not answer while there is no leader. So the first tries are short, and later
	// ones long enough for a slow link.
	firstTimeout, apiTimeout = time.Second, 5 * time.Second
)

// A stored is a message of the stream.
type stored struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Header  []byte    `json:"hdrs"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"`
	header  nats.Header
}

// deletes reports whether a message with that header is the marker of a deletion.
func deletes(h nats.Header) bool {
	op := h.Get(opHeader)
	return op == opPurge || op == opDelete || h.Get(reasonHeader) != ""
}

// A query is what is asked for in a request for a message: the last of a subject, or the
// first of a subject from a sequence number on.
type query struct {
	Last string `json:"last_by_subj,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Seq  uint64 `json:"seq,omitempty"`
}

// message asks the leader of the stream for a message. It returns nil if there is none.
func (e *Engine) message(ctx context.Context, q query) (m *stored, err error) {
	request, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	reply, err := e.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+e.stream, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *stored             `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("answer of the server: %w", err)
	}
	switch m = answer.Message; {
	case answer.Error != nil && answer.Error.ErrorCode == codeNoMessage:
		return nil, nil
	case answer.Error != nil:
		return nil, answer.Error
	case m == nil:
		return nil, errors.New("answer of the server: no message")
	}
	if len(m.Header) > 0 {
		if m.header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return nil, fmt.Errorf("answer of the server: %w", err)
		}
	}
	return m, nil
}

// retry calls f until it succeeds, fails for good, or ctx or the Engine ends. Each call has
// a context of its own.
func (e *Engine) retry(ctx context.Context, f func(ctx context.Context) error) error {
	for retry := newBackoff(); ; {
		if err := e.ended(ctx); err != nil {
			return err
		}
		err := e.within(ctx, retry.timeout, f)
		if err == nil || final(err) {
			return err
		}
		if e.wait(ctx, retry) != nil {
			return errors.Join(e.ended(ctx), err)
		}
	}
}

// once is within for what is not tried again soon.
func (e *Engine) once(ctx context.Context, f func(ctx context.Context) error) error {
	return e.within(ctx, apiTimeout, f)
}

// within calls f with a context that ends after timeout, and when the connection is lost.
func (e *Engine) within(ctx context.Context, timeout time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	defer context.AfterFunc(e.link(), func() { cancel(nats.ErrDisconnected) })()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// wait sleeps before the next try, or until ctx or the Engine ends.
func (e *Engine) wait(ctx context.Context, retry *backoff) error {
	ctx, cancel := e.run(ctx)
	defer cancel(nil)
	return retry.sleep(ctx)
}

// final reports whether a request that failed so would fail again.
func final(err error) bool {
	if bad := new(jetstream.APIError); errors.As(err, &bad) {
		return bad.Code != statusUnavailable && bad.ErrorCode != codeSameID && !errors.Is(err, jetstream.ErrStreamNotFound)
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, engine.ErrClosed) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

// A backoff is the time between tries, and that for each try. Both grow.
type backoff struct{ delay, timeout time.Duration }

func newBackoff() *backoff { return &backoff{firstDelay, firstTimeout} }

func (b *backoff) sleep(ctx context.Context) error {
	t := time.NewTimer(b.delay)
	defer t.Stop()
	b.delay, b.timeout = min(2*b.delay, lastDelay), min(b.timeout+b.timeout/4, apiTimeout)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return engine.ContextError(ctx)
	}
}

func joined(addresses []string) string { return strings.Join(addresses, ",") }
