package natsengine

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// probePrefix is the key of messages that claim the id of a write.
const probePrefix = "_probe."

// settle finds out whether a message was applied whose answer was lost. If it is the last of
// its key, it was. Otherwise another message with the same id is sent, under a key of its
// own. If the server knows the id, the first message was applied. If not, the first message
// never will be, because now the server knows the id.
func (p *put) settle(ctx context.Context) (uint64, error) {
	if time.Since(p.begun) > p.e.window/2 {
		return 0, p.failed(errors.New("the server may have forgotten the id of the write"))
	}
	last, err := p.last(ctx, p.subject)
	if err != nil {
		return 0, errPending
	}
	if last != nil && last.Seq > p.before {
		if p.wrote(last) {
			return p.applied(last.Seq)
		}
		if same, err := p.sameServer(ctx); err != nil {
			return 0, errPending
		} else if !same {
			return 0, p.failed(errors.New("a newer write of the key has come in, and the server may have forgotten this one"))
		}
	}
	return p.probe(ctx)
}

func (p *put) applied(revision uint64) (uint64, error) {
	p.e.acknowledged(revision, p.before)
	return revision, nil
}

// probe sends the message that claims the id.
func (p *put) probe(ctx context.Context) (uint64, error) {
	m := &nats.Msg{Subject: p.e.prefix + probePrefix + p.id, Header: nats.Header{idHeader: {p.id}, opHeader: {opPurge}}}
	if p.e.markerTTL > 0 {
		setTTL(m, p.e.window)
	}
	ack, err := p.e.publish(ctx, m)
	switch {
	case err != nil && final(err):
		return 0, p.failed(err)
	case err != nil:
		return 0, errPending
	case ack.Duplicate:
		claimed, err := p.last(ctx, m.Subject) // an earlier probe, whose answer was lost
		if err != nil {
			return 0, errPending
		}
		if claimed == nil {
			return p.applied(ack.Sequence)
		}
	}
	p.lost = nil
	return 0, errAgain
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
		cluster := s.CachedInfo().Cluster
		alone := cluster == nil || len(cluster.Replicas) == 0 && cluster.Leader == p.e.nc.ConnectedServerName()
		same = alone && server == p.server
		return nil
	})
	return same, err
}
