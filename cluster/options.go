package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
)

// Options configure a [Bucket]. Dir, Addresses or Engine must be set.
type Options struct {
	// Name is the name of the bucket: letters, digits, - and _. Empty means "vigil".
	Name string

	// Dir is the directory of the server that Open starts in this process, if there are no
	// Addresses. Each write is synced to the disk before it is acknowledged. Only one
	// process at a time can use the directory, and only it has the bucket.
	Dir string

	// Addresses are the URLs of one or more servers of a NATS cluster with JetStream,
	// such as "nats://10.0.0.1:4222". A server that does not sync each write
	// (sync_interval: always) can lose acknowledged writes when its machine fails.
	Addresses []string

	// Credentials is the name of a file with a user's NATS credentials. Empty means none.
	Credentials string

	// TLS configures TLS for Addresses. Nil means TLS only if the URL says so.
	TLS *tls.Config

	// Replicas is the number of servers that keep the bucket, if Open makes it. Zero means
	// 3 in a NATS cluster, and otherwise 1.
	Replicas int

	// MarkerTTL is the time for which the server remembers that a key was deleted, if
	// Open makes the bucket. A process that has been cut off for more than half of it reads
	// everything anew. It is at least a second. Zero means an hour.
	MarkerTTL time.Duration

	// Engine is used instead of a NATS server, if it is not nil, such as one of package
	// etcdengine. Close closes it, and so does Open if it fails.
	Engine engine.Engine

	// Logger is told when the process is cut off, when it reads everything anew, and of
	// values that cannot be decoded. Nil means slog.Default().
	Logger *slog.Logger
}

// open returns the engine, and the server if it was started here.
func (o *Options) open(ctx context.Context) (engine.Engine, *natsengine.Server, error) {
	if o.Engine != nil {
		return o.Engine, nil, nil
	}
	no := &natsengine.Options{
		Bucket: o.Name, Addresses: o.Addresses, Credentials: o.Credentials, TLS: o.TLS,
		Replicas: o.Replicas, MarkerTTL: o.MarkerTTL, Logger: o.Logger,
	}
	if no.Bucket == "" {
		no.Bucket = "vigil"
	}
	if len(o.Addresses) > 0 {
		e, err := natsengine.Open(ctx, no)
		return e, nil, err
	}
	if o.Dir == "" {
		return nil, nil, errors.New("cluster: Options has no Dir, no Addresses and no Engine")
	}
	server, err := natsengine.StartServer(&natsengine.ServerOptions{Dir: o.Dir})
	if err != nil {
		return nil, nil, err
	}
	no.Server = server
	e, err := natsengine.Open(ctx, no)
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return e, server, nil
}
