package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
	"github.com/vigil-go/vigil/examples/internal/cli"
)

// config is what the flags say.
type config struct {
	// Both.
	ttl       time.Duration
	vary      []string
	maxObject size
	maxBytes  size
	debug     string

	// The demo.
	duration time.Duration
	clients  int
	keys     int
	zipf     float64
	seed     uint64

	// The server.
	listen string
	origin string
	target *url.URL      // origin, parsed
	drain  time.Duration // how long running requests may go on after a signal
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("dedupcache")
	f.DurationVar(&c.duration, "duration", 10*time.Second, "how long the demo takes at most, 1s to 10m")
	f.IntVar(&c.clients, "clients", 200, "how many ask, 10 times a second each, 1 to 2000")
	f.IntVar(&c.keys, "keys", 60, "how many different pages they ask for")
	f.Float64Var(&c.zipf, "zipf", 1.1, "how unequal the pages are: Zipf exponent, above 1")
	f.Uint64Var(&c.seed, "seed", 1, "seed of everything random")
	f.DurationVar(&c.ttl, "ttl", 300*time.Millisecond, "how long a page is fresh that does not say")
	f.Func("vary", "headers that tell pages apart (default "+defaultVary+")", func(s string) error {
		c.vary = httpcache.List([]string{s})
		return nil
	})
	f.Var(&c.maxObject, "max-object", "the largest page that is kept")
	f.Var(&c.maxBytes, "max-bytes", "how much all pages that are kept may take")
	f.StringVar(&c.debug, "debug", "", "serve a page of all waits and loads at this private address")
	f.StringVar(&c.listen, "listen", "", "serve on this address, like :8080; needs -origin")
	f.StringVar(&c.origin, "origin", "", "the URL whose pages are served; needs -listen")
	return f
}

const defaultVary = "Accept-Encoding"

// newConfig returns what holds without flags.
func newConfig() *config {
	return &config{
		vary: []string{defaultVary}, maxObject: 32 << 20, maxBytes: 512 << 20,
		drain: 10 * time.Second,
	}
}

// parse reads the flags. Its errors are one line that says what is wrong.
func parse(args []string) (*config, error) {
	c := newConfig()
	f := flagSet(c)
	if err := cli.Parse(f, args); err != nil {
		return nil, err
	}
	var set []string
	f.Visit(func(fl *flag.Flag) { set = append(set, fl.Name) })
	if err := c.checkBoth(); err != nil {
		return nil, err
	}
	if slices.Contains(set, "listen") || slices.Contains(set, "origin") {
		return c, c.checkServer(set)
	}
	return c, c.checkDemo()
}

func (c *config) checkBoth() error {
	for i, name := range c.vary {
		c.vary[i] = http.CanonicalHeaderKey(name)
		switch c.vary[i] {
		case "Authorization", "Cookie", "Proxy-Authorization", "Range", "*":
			return fmt.Errorf("-vary %s: what depends on that is never shared", name)
		case "Connection", "Content-Length", "Expect", "Host", "If-Match", "If-Modified-Since", "If-None-Match",
			"If-Range", "If-Unmodified-Since", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			return fmt.Errorf("-vary %s: that is about one request, no page depends on it", name)
		}
	}
	switch {
	case c.ttl <= 0:
		return fmt.Errorf("-ttl %v: must be above 0", c.ttl)
	case c.maxObject < 1<<10 || c.maxObject > 1<<30:
		return fmt.Errorf("-max-object %v: must be from 1KiB to 1GiB", c.maxObject)
	case c.maxBytes < c.maxObject:
		return fmt.Errorf("-max-bytes %v: must be at least -max-object, %v", c.maxBytes, c.maxObject)
	}
	if err := checkAddress(c.debug); c.debug != "" && err != nil {
		return fmt.Errorf("-debug %q: %w", c.debug, err)
	}
	return nil
}

func (c *config) checkDemo() error {
	switch {
	case c.duration < time.Second || c.duration > 10*time.Minute:
		return fmt.Errorf("-duration %v: must be from 1s to 10m", c.duration)
	case c.clients < 1 || c.clients > 2000:
		return fmt.Errorf("-clients %d: must be from 1 to 2000", c.clients)
	case c.keys < 1:
		return fmt.Errorf("-keys %d: must be at least 1", c.keys)
	case !(c.zipf > 1) || math.IsInf(c.zipf, 0):
		return fmt.Errorf("-zipf %v: must be above 1", c.zipf)
	}
	return nil
}

var (
	demoFlags = []string{"duration", "clients", "keys", "zipf", "seed"}
	bothFlags = []string{"ttl", "vary", "max-object", "max-bytes", "debug"}
)

func (c *config) checkServer(set []string) error {
	for _, name := range set {
		if slices.Contains(demoFlags, name) {
			return fmt.Errorf("-%s is for the demo, it means nothing with -listen and -origin", name)
		}
	}
	if c.listen == "" {
		return errors.New("-origin needs -listen with an address like :8080")
	}
	if c.origin == "" {
		return errors.New("-listen needs -origin with a URL like https://example.org")
	}
	if err := checkAddress(c.listen); err != nil {
		return fmt.Errorf("-listen %q: %w", c.listen, err)
	}
	target, err := parseOrigin(c.origin)
	if err != nil {
		return fmt.Errorf("-origin %q: %w", c.origin, err)
	}
	c.target = target
	return nil
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("want host:port or :port")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		return nil, cli.OneLine(bad.Err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("want a URL that starts with http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("want scheme, host and path only")
	}
	return u, nil
}

// A size is a number of bytes, or of KiB, MiB or GiB.
type size int64

var units = []struct {
	name  string
	bytes size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

func (s size) String() string {
	for _, u := range units {
		if s%u.bytes == 0 && s != 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0"
}

func (s *size) Set(text string) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		*s = size(n) * u.bytes
		if err != nil {
			return errors.New("want a number of bytes like 4096, 64KiB, 32MiB or 1GiB")
		}
		return nil
	}
	return nil
}

func help() string {
	var b strings.Builder
	b.WriteString(`dedupcache is a caching reverse proxy that coalesces: however many clients ask
for a page that is not there, its origin is asked once.

  go run ./examples/dedupcache
      shows what that does: a slow origin, the cache and a crowd of HTTP
      clients, all in one process; the same requests without coalescing and
      with it.

  go run ./examples/dedupcache -listen :8080 -origin https://example.org
      serves a real origin, until SIGINT or SIGTERM.

`)
	f := flagSet(newConfig())
	section := func(title string, names ...string) {
		fmt.Fprintf(&b, "%s:\n", title)
		for _, name := range names {
			cli.WriteFlags(&b, f.Lookup(name))
		}
	}
	section("The demo", demoFlags...)
	section("The server", "listen", "origin")
	section("Both", bothFlags...)
	b.WriteString("\nExit status: 0 done, 1 failed, 2 bad flags.\n")
	return b.String()
}
