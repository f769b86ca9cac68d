package httpcache

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Options are the options of a [Cache]. The zero value of a field means its default.
type Options struct {
	// MaxBytes is the maximum size in bytes of the bodies in memory: those that are
	// kept, those that are arriving, and those that were evicted and are still being
	// read. Each body that is arriving may have 32 KiB in addition, so that no transfer
	// waits for another one. The default is 256 MiB.
	//
	// The garbage collector lets a program grow to about twice the memory in use. To
	// prevent that, call debug.SetMemoryLimit with MaxBytes, 40 MiB, and what the rest of
	// the program needs.
	MaxBytes int64

	// MaxObject is the size in bytes of the largest body that is kept. A larger body is
	// passed on as it arrives, as fast as the slowest client reads it. The default is
	// 32 MiB, or MaxBytes if that is less.
	MaxObject int64

	// MaxDelay is the total time for which one client that reads such a body slowly may
	// make other clients of the body wait. Then it gets the rest by a range request of
	// its own, if the response has status 200 and a strong validator (RFC 9110, 8.8.1).
	// Otherwise the other clients stay as slow as it is. The default is 1 s.
	MaxDelay time.Duration

	// UnreadTimeout is the time for which a body continues to arrive while no client
	// reads it. Then the body is dropped, and its connection to the origin is closed.
	// It does not apply to a response of known length that replaces a stale one in the
	// background. The default is 5 s.
	UnreadTimeout time.Duration

	// TTL is the time for which a response is fresh if it has neither an explicit
	// lifetime nor Last-Modified, and its status allows that it is kept. By default
	// such a response is not fresh.
	TTL time.Duration

	// Targeted names the targeted fields of responses (RFC 9213) that the cache obeys.
	// The first of them that a response has, and that is valid, replaces Cache-Control
	// and Expires. The default is CDN-Cache-Control. An empty slice that is not nil
	// means none.
	Targeted []string

	// UncacheableTTL is the time for which the cache remembers that the responses of a
	// URL are not shared. Meanwhile requests for the URL pass through. The default is
	// 10 s.
	UncacheableTTL time.Duration

	// IgnoreCookies names cookies of requests that do not affect responses. Shared
	// requests are made without them. A name that ends in * means all names with the
	// prefix before the *. A request with a cookie that is neither here nor in
	// KeyCookies is not shared. By default no cookie is ignored.
	IgnoreCookies []string

	// KeyCookies names cookies of requests, in the same form, that affect responses.
	// Requests share a response only if these cookies have the same values, and shared
	// requests are made with them. A name that is also in IgnoreCookies is not ignored.
	KeyCookies []string

	// IgnoreSetCookies names cookies, in the same form, that responses set and that
	// clients do not need. A response that sets no other cookies may be shared, and is
	// passed on without them. By default no response that sets a cookie is shared.
	IgnoreSetCookies []string

	// FillRanges is the size in bytes of the largest page that is fetched as a whole,
	// for all clients together, when clients ask for a single range of it that has a
	// first byte. They get the range as it arrives. For an hour the cache remembers
	// which pages are larger, or of unknown length. By default a request for a range of
	// a page that is not kept passes through.
	FillRanges int64

	// Timeout is the time within which the origin must send the header of a response,
	// and then each piece of its body. The body of a response that passes through has
	// no limit. The default is 30 s.
	Timeout time.Duration

	// Private makes the cache that of a single user, as in a browser. It also keeps
	// responses that are private, that set cookies, or that were asked for with
	// credentials, and ignores s-maxage, proxy-revalidate and targeted fields. All
	// requests must have the same credentials.
	Private bool

	// Name is the name of this cache in the Cache-Status field of responses (RFC 9211).
	// It must be printable ASCII. The default is "vigil".
	Name string

	// ShowKeys adds the path and query of the request to Cache-Status.
	ShowKeys bool

	// Store also keeps responses outside of memory, so that they outlive the process and
	// may exceed MaxBytes. The cache looks there for a page that is not in memory, before
	// it asks the origin. A load that fails or takes more than 2 s counts as a miss. Not
	// saved are responses to HEAD, and those that have left memory before it is their
	// turn.
	//
	// The response to a write is passed on when the write is recorded in the Store, or
	// after 2 s. If the process is killed before a new version of a page is saved, the
	// next process may use the version before it while that is fresh.
	//
	// A cache may use what a cache of an earlier process has saved, even if their options
	// differ. Both must make their Proxies, Handlers and Transports in the same order. One
	// cache at a time may use a Store.
	//
	// By default there is memory only.
	Store Store

	// NoCoalescing makes each request that finds no response ask the origin by itself.
	// It is for comparisons.
	NoCoalescing bool

	// Logger gets failed requests to the origin, bodies that broke off, and failures of
	// the Store. The default is slog.Default().
	Logger *slog.Logger
}

// withDefaults returns a copy of o with all defaults filled in. o may be nil.
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

// canonical returns a copy of names with each name as it is in an http.Header.
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
