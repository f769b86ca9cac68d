package httpcache

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Options are the options of a [Cache]. The zero value of each field stands
// for the default that it names.
type Options struct {
	// MaxBytes is how many bytes the bodies in memory may take: those that are
	// kept, those that arrive, and those that are evicted while they are read.
	// Each body that arrives may have 32 KiB even if that is used up, so that
	// every transfer goes on. The default is 256 MiB.
	//
	// The garbage collector lets a program grow to about twice what is in use.
	// If that matters, call debug.SetMemoryLimit with some 40 MiB more than
	// MaxBytes, and than what the rest of the program needs.
	MaxBytes int64

	// MaxObject is the size in bytes of the largest body that is kept. A larger
	// one is passed on as it arrives, at the pace of the slowest client that
	// reads it. The default is 32 MiB, or MaxBytes if that is less.
	MaxObject int64

	// MaxDelay is for how long in all a client that reads such a body slowly may
	// keep other clients of the same body waiting. Then it gets the rest by a
	// range request of its own, if the response is a 200 with a strong validator
	// (RFC 9110, 8.8.1); otherwise, the others stay as slow as it is. The default
	// is 1 s.
	MaxDelay time.Duration

	// UnreadTimeout is how long a body goes on to arrive that no client reads. One that is
	// not there by then is given up, and its connection to the origin closed. The
	// exception is the renewal of a stale response while that is served, if the
	// length is known. The default is 5 s.
	UnreadTimeout time.Duration

	// TTL is how long a response is fresh that says nothing about that and has
	// no Last-Modified, if its status allows it to be kept. By default it is not
	// kept.
	TTL time.Duration

	// Targeted are the targeted fields of responses that the cache obeys (RFC
	// 9213): the first that is there and valid holds, and Cache-Control and
	// Expires do not. The default is CDN-Cache-Control; an empty slice that is
	// not nil stands for none.
	Targeted []string

	// UncacheableTTL is how long it is remembered that the responses of a URL
	// are not to be shared. Requests for it are not coalesced meanwhile. The
	// default is 10 s.
	UncacheableTTL time.Duration

	// IgnoreCookies names cookies of requests that change nothing in the
	// responses. A shared request is made without them. A name that ends in *
	// stands for all names that begin with what is before the *. A request with
	// any cookie that is neither here nor in KeyCookies is not shared, which is
	// the default for all cookies.
	IgnoreCookies []string

	// KeyCookies names cookies, in the same way, by whose values responses are
	// told apart. A shared request has them. They need not be few: a name that
	// is here too is not ignored.
	KeyCookies []string

	// IgnoreSetCookies names cookies, in the same way, that responses set without
	// need. If a response sets no others, it may be shared, and is handed on
	// without them. By default no response that sets a cookie is shared.
	IgnoreSetCookies []string

	// FillRanges is the size in bytes of the largest page that is fetched as a
	// whole, coalesced, for requests for one range of it that begins at an offset.
	// They get it as it arrives. It is remembered of larger pages, and of those of
	// unknown length, that they are. By default, a request for a range of a page
	// that is not there goes to the origin by itself.
	FillRanges int64

	// Timeout is how long the origin may take to send a header, and then each
	// piece of a body, unless that is of a response that passes through. The
	// default is 30 s.
	Timeout time.Duration

	// Private makes it the cache of one user, who may have what is private, sets
	// cookies, or was asked for with credentials. Requests with other credentials
	// must not come to it. s-maxage, proxy-revalidate and targeted fields are for
	// others.
	Private bool

	// Name is that of this cache in the Cache-Status field of its answers (RFC
	// 9211): printable ASCII. The default is "vigil".
	Name string

	// ShowKeys has Cache-Status show the path and query that an answer belongs to.
	ShowKeys bool

	// Store keeps responses outside of memory as well: they outlive the process,
	// and are more than fit into MaxBytes. What is not in memory is looked for there
	// before the origin is asked. A cache with options that differ in what is kept
	// may use what another one has saved; Proxies, Handlers and Transports must be
	// made in the same order. A Store that fails or takes more than 2 s counts as one
	// that has nothing. Responses to HEAD, and those not in memory any more when it is
	// their turn to be saved, are not saved. By default there is memory only.
	Store Store

	// NoCoalescing lets each request that finds no response ask the origin
	// itself. It is there for comparisons.
	NoCoalescing bool

	// Logger is told about failures of the origin and transfers that broke off.
	// The default is slog.Default().
	Logger *slog.Logger
}

// withDefaults returns a copy of o, which may be nil, in which nothing is left
// to a default.
func (o *Options) withDefaults() (*Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	setDefault(&c.MaxBytes, 256<<20)
	setDefault(&c.MaxObject, min(32<<20, c.MaxBytes))
	setDefault(&c.UncacheableTTL, 10*time.Second)
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.Name, "vigil")
	if c.Targeted == nil {
		c.Targeted = []string{"CDN-Cache-Control"}
	}
	c.Targeted = canonical(c.Targeted)
	setDefault(&c.MaxDelay, time.Second)
	setDefault(&c.UnreadTimeout, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxObject > c.MaxBytes {
		return nil, fmt.Errorf("httpcache: MaxObject %d is more than MaxBytes %d", c.MaxObject, c.MaxBytes)
	}
	return &c, nil
}

// canonical returns a copy of the names of fields, as in an http.Header.
func canonical(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = http.CanonicalHeaderKey(name)
	}
	return all
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var errNegative = errors.New("httpcache: negative option")

func (o *Options) check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"MaxBytes", o.MaxBytes}, {"MaxObject", o.MaxObject}, {"TTL", int64(o.TTL)},
		{"UncacheableTTL", int64(o.UncacheableTTL)}, {"Timeout", int64(o.Timeout)},
		{"MaxDelay", int64(o.MaxDelay)}, {"UnreadTimeout", int64(o.UnreadTimeout)},
		{"FillRanges", o.FillRanges},
	} {
		if f.value < 0 {
			return fmt.Errorf("%w: %s", errNegative, f.name)
		}
	}
	return cmp.Or(cookieNames(o.IgnoreCookies).check("IgnoreCookies"), cookieNames(o.KeyCookies).check("KeyCookies"),
		cookieNames(o.IgnoreSetCookies).check("IgnoreSetCookies"))
}
