package natsengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	batch     = 1000             // messages that are asked for at a time
	expires   = 30 * time.Second // after which the server answers in any case
	heartbeat = 2 * time.Second
	silence   = 3 * heartbeat // after which the consumer counts as lost
	unused    = time.Minute   // after which the server drops a consumer that nobody pulls from
)

// A reader is a consumer of the stream, which lives as long as all goes well.
type reader struct {
	e     *Engine
	name  string
	inbox string
	sub   *nats.Subscription
	msgs  chan *nats.Msg
	seen  uint64      // messages
	left  int         // messages that may still come for the last request
	empty bool        // the last request without waiting ended because there is nothing more
	quiet *time.Timer // since something has come, or was asked for
}

// newReader makes a consumer of the messages from a sequence number on.
func (e *Engine) newReader(ctx context.Context, from uint64) (r *reader, err error) {
	r = &reader{e: e, name: "vigil-" + nuid.Next(), inbox: e.nc.NewInbox(), msgs: make(chan *nats.Msg, 2*batch), quiet: time.NewTimer(silence)}
	config := jetstream.ConsumerConfig{
		Name: r.name, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: unused,
	}
	err = e.once(ctx, func(ctx context.Context) error {
		_, err := e.js.CreateConsumer(ctx, e.stream, config)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: make a consumer: %w", err)
	}
	if r.sub, err = e.nc.ChanSubscribe(r.inbox, r.msgs); err != nil {
		r.drop()
		return nil, fmt.Errorf("cluster: subscribe: %w", err)
	}
	return r, nil
}

// close ends the consumer.
func (r *reader) close() {
	r.quiet.Stop()
	_ = r.sub.Unsubscribe() // fails only if the connection is closed
	r.drop()
}

// drop tells the server that it may drop the consumer. It does so by itself after a while.
func (r *reader) drop() {
	_ = r.e.nc.Publish("$JS.API.CONSUMER.DELETE."+r.e.stream+"."+r.name, nil)
}

// pull asks for messages: for those that are there, or also for those that come.
func (r *reader) pull(present bool) error {
	request := struct {
		Batch     int           `json:"batch"`
		NoWait    bool          `json:"no_wait,omitempty"`
		Expires   time.Duration `json:"expires,omitempty"`
		Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
	}{Batch: batch, NoWait: present}
	if !present {
		request.Expires, request.Heartbeat = expires, heartbeat
	}
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r.left, r.empty = batch, false
	subject := "$JS.API.CONSUMER.MSG.NEXT." + r.e.stream + "." + r.name
	if err := r.e.nc.PublishRequest(subject, r.inbox, data); err != nil {
		return fmt.Errorf("cluster: ask for messages: %w", err)
	}
	r.quiet.Reset(silence)
	return nil
}

// errLook means that it is time to look whether the watch is up to date.
var errLook = errors.New("cluster: look")

// next returns the next message, or nil if the last request has been answered.
func (r *reader) next(ctx context.Context, check <-chan time.Time) (*nats.Msg, error) {
	if r.left == 0 {
		return nil, nil
	}
	look := r.e.look
	if check == nil {
		look = nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.e.broken:
			return nil, errRestart
		case <-check:
			return nil, errLook
		case <-look:
			return nil, errLook
		case <-r.quiet.C:
			if len(r.msgs) == 0 {
				return nil, fmt.Errorf("cluster: no heartbeat of the server for %v", silence)
			}
			r.quiet.Reset(silence) // it is this goroutine that was slow
		case m := <-r.msgs:
			r.quiet.Reset(silence)
			if len(m.Data) > 0 || m.Header.Get("Status") == "" {
				r.left--
				return m, nil
			}
			if done, err := r.status(m); done || err != nil {
				return nil, err
			}
		}
	}
}

// status handles what the server says about a request. It reports whether the request has
// been answered.
func (r *reader) status(m *nats.Msg) (done bool, err error) {
	status, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch {
	case status == "100": // a heartbeat
		return false, nil
	case status == "404":
		r.empty = true
	case status == "408" || status == "409" && text == "Batch Completed":
	default:
		return false, fmt.Errorf("cluster: consumer: %s %s", status, text)
	}
	r.left = 0
	return true, nil
}
