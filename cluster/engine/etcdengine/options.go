package etcdengine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
)

// Options configure an [Engine]. Either Addresses or Client must be set.
type Options struct {
	// Bucket is the name of the bucket: letters, digits, - and _.
	Bucket string

	// Prefix is that of all keys in etcd. Those of the bucket begin with it, the name
	// of the bucket and a slash. Empty means "vigil/".
	Prefix string

	// Addresses are the URLs of one or more servers of an etcd cluster, such as
	// "https://10.0.0.1:2379". All of them say http, or all say https.
	Addresses []string

	// User and Password are those of an etcd user, who needs to read and write the keys of
	// the bucket. Empty means none.
	User, Password string

	// TLS configures TLS. Nil means TLS only if the URL says so.
	TLS *tls.Config

	// DialOptions are added to those of the connections, as for a dialer.
	DialOptions []grpc.DialOption

	// Client is used instead of Addresses and what belongs to them. Close does not close
	// it. It should have a DialKeepAliveTime; without one, a lost connection may not be
	// noticed for minutes. If it has a user, it may get no new token from servers as old as
	// 3.4.23, after these were restarted, as it would from Addresses. What it has in place of its KV, Lease and Watcher, as those of
	// package namespace, is not used.
	Client *clientv3.Client

	// AckTimeout is the time after which a write looks whether it was applied, if no
	// answer has come. Zero means 5 seconds.
	AckTimeout time.Duration

	// CheckInterval is the time between two checks whether the history is still the
	// same. Zero means 10 seconds.
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
	for of, value := range map[*time.Duration]time.Duration{&c.AckTimeout: 5 * time.Second, &c.CheckInterval: 10 * time.Second} {
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
	if c.Prefix == "" {
		c.Prefix = "vigil/"
	}
	switch {
	case !bucketName.MatchString(c.Bucket):
		return nil, fmt.Errorf("cluster: %q is no name for a bucket: it may have letters, digits, - and _", c.Bucket)
	case len(c.Prefix) > maxKey:
		return nil, fmt.Errorf("cluster: Options.Prefix has more than %d bytes", maxKey)
	case c.Client == nil && len(c.Addresses) == 0:
		return nil, errors.New("cluster: Options has neither a Client nor Addresses")
	case c.Client != nil && c.Client.ActiveConnection() == nil:
		return nil, errors.New("cluster: Options.Client has no connection")
	case !sameSecurity(c.Addresses, c.TLS != nil):
		return nil, errors.New("cluster: Options.Addresses has some with TLS and some without, or some without although there is a TLS")
	case (c.User == "") != (c.Password == ""):
		return nil, errors.New("cluster: Options has a User without a Password, or a Password without a User")
	}
	return &c, nil
}

// sameSecurity reports whether all addresses say by their schemes that there is TLS, or none
// says so. The client takes all for what the first one says. An address need not say anything.
func sameSecurity(addresses []string, wanted bool) bool {
	secure, plain := wanted, false
	for _, a := range addresses {
		scheme, _, _ := strings.Cut(a, ":")
		secure = secure || scheme == "https" || scheme == "unixs"
		plain = plain || scheme == "http"
	}
	return !secure || !plain
}

// The keepalive of a connection. A server closes connections with pings more often than
// every five seconds, and with pings while there is no stream and no request.
const (
	pingInterval = 10 * time.Second
	pingTimeout  = 5 * time.Second
)

// connect returns a client, and what closes it. If there is a user, it asks for a token, until
// ctx ends.
func (o *Options) connect(ctx context.Context) (c *clientv3.Client, stop func() error, err error) {
	life, cancel := context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, cancel)()
	retries := grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           grpcbackoff.Config{BaseDelay: firstDelay, Multiplier: 2, Jitter: 0.2, MaxDelay: lastDelay},
		MinConnectTimeout: pingTimeout,
	})
	config := clientv3.Config{
		Endpoints: o.Addresses, TLS: o.TLS, Context: life, DialTimeout: apiTimeout,
		DialKeepAliveTime: pingInterval, DialKeepAliveTimeout: pingTimeout,
		DialOptions: append([]grpc.DialOption{retries}, o.DialOptions...), Logger: zap.NewNop(),
	}
	c, err = clientv3.New(config)
	if err != nil {
		return nil, nil, err
	}
	if o.User == "" {
		return c, func() error { return closed(c) }, nil
	}
	anonymous := c
	config.Username, config.Password = o.User, o.Password
	config.DialOptions = append(config.DialOptions, grpc.WithChainUnaryInterceptor(authenticateBy(anonymous)))
	if c, err = clientv3.New(config); err != nil {
		return nil, nil, errors.Join(err, closed(anonymous))
	}
	return c, func() error { return errors.Join(closed(c), closed(anonymous)) }, nil
}

// authenticateBy returns what asks for a token by a client that has none. A server as old as
// 3.4.23 gives no new one for a request that has an old one that it does not know any more.
func authenticateBy(anonymous *clientv3.Client) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, in, out any, c *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if method == pb.Auth_Authenticate_FullMethodName {
			return anonymous.ActiveConnection().Invoke(ctx, method, in, out, options...)
		}
		return next(ctx, method, in, out, c, options...)
	}
}

// closed closes a client, which returns the error of the context that it cancels.
func closed(c *clientv3.Client) error {
	if err := c.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("cluster: close: %w", err)
	}
	return nil
}
