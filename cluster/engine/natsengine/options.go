package natsengine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
)

// Options configure an [Engine]. Either Addresses or Server must be set.
type Options struct {
	// Bucket is the name of the bucket: letters, digits, - and _.
	Bucket string

	// Addresses are the URLs of one or more servers of a NATS cluster.
	Addresses []string

	// Server is a server in this process, which is used instead of Addresses. Close does
	// not close it.
	Server *Server

	// Credentials is the name of a file with a user's NATS credentials. Empty means none.
	Credentials string

	// TLS configures TLS. Nil means TLS only if the URL says so.
	TLS *tls.Config

	// Dialer connects to servers instead of a net.Dialer, if it is not nil. It is not used
	// with Server.
	Dialer nats.CustomDialer

	// Replicas is the number of servers that keep the bucket, if the Engine makes it.
	// Zero means 3 in a NATS cluster, and otherwise 1.
	Replicas int

	// MarkerTTL is the time for which the server remembers that a key was deleted, if
	// the Engine makes the bucket. A watcher that has been cut off for more than half of
	// it reads everything anew. It is at least a second. Zero means an hour.
	MarkerTTL time.Duration

	// DuplicateWindow is the time for which the server remembers the ids of writes, if
	// the Engine makes the bucket. Zero means a minute.
	DuplicateWindow time.Duration

	// AckTimeout is the time after which a write looks whether it was applied, if no
	// answer has come. Zero means 5 seconds.
	AckTimeout time.Duration

	// CheckInterval is the time between two checks whether the history is still the
	// same. Zero means 10 seconds, or a quarter of the time that markers live, if that is
	// less.
	CheckInterval time.Duration

	// Logger is told when a watcher is cut off, and when it reads everything anew. Nil
	// means slog.Default().
	Logger *slog.Logger
}

var bucketName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// withDefaults returns a copy that has a value for each option.
func (o *Options) withDefaults() (*Options, error) {
	if o == nil {
		o = new(Options)
	}
	c := *o
	for of, value := range map[*time.Duration]time.Duration{
		&c.MarkerTTL: time.Hour, &c.DuplicateWindow: time.Minute, &c.AckTimeout: 5 * time.Second, &c.CheckInterval: 10 * time.Second,
	} {
		if *of < 0 {
			return nil, errors.New("cluster: a negative time in Options")
		}
		if *of == 0 {
			*of = value
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	switch {
	case !bucketName.MatchString(c.Bucket):
		return nil, fmt.Errorf("cluster: %q is no name for a bucket: it may have letters, digits, - and _", c.Bucket)
	case c.Server == nil && len(c.Addresses) == 0:
		return nil, errors.New("cluster: Options has neither a Server nor Addresses")
	case c.Replicas < 0:
		return nil, errors.New("cluster: Options.Replicas is negative")
	case c.MarkerTTL < time.Second:
		return nil, errors.New("cluster: Options.MarkerTTL is less than a second")
	}
	return &c, nil
}

// connection returns the options of the connection to a server.
func (o *Options) connection() []nats.Option {
	no := []nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.ReconnectBufSize(-1), // a write that waits here could be sent when its caller has given up
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.IgnoreAuthErrorAbort(), // what was allowed once may be so again
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
		nats.Name("vigil " + o.Bucket),
	}
	if o.Server != nil {
		return append(no, nats.InProcessServer(o.Server.nats))
	}
	if o.Credentials != "" {
		no = append(no, nats.UserCredentials(o.Credentials))
	}
	if o.TLS != nil {
		no = append(no, nats.Secure(o.TLS))
	}
	if o.Dialer != nil {
		no = append(no, nats.SetCustomDialer(o.Dialer))
	}
	return no
}
