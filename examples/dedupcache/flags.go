package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// config has the values of the flags.
type config struct {
	// Both.
	ttl       time.Duration
	maxObject size
	maxBytes  size
	debug     string

	check string   // the URL to look at
	page  *url.URL // check, parsed

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
	drain  time.Duration // time for running requests to end after a signal

	proxyConfig
	cert, key  string // files
	accessLog  string
	metrics    string
	disk       string // a directory; "": none
	diskBytes  size
	conns      int
	headerTime time.Duration // for a client to send its header
	bodyTime   time.Duration // and each piece of its body
	timeout    time.Duration // for the origin's header, and each piece of a body
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("dedupcache")
	f.DurationVar(&c.duration, "duration", 10*time.Second, "the longest time that the demo takes, 1s to 10m")
	f.IntVar(&c.clients, "clients", 200, "number of clients that ask every 100ms, 1 to 2000")
	f.IntVar(&c.keys, "keys", 60, "number of different pages")
	f.Float64Var(&c.zipf, "zipf", 1.1, "Zipf exponent of the popularity of pages, above 1")
	f.Uint64Var(&c.seed, "seed", 1, "seed of all random numbers")
	f.DurationVar(&c.ttl, "ttl", 0, "time for which a page without a lifetime is fresh")
	f.Var(&c.maxObject, "max-object", "size of the largest page that is kept")
	f.Var(&c.maxBytes, "max-bytes", "memory for the bodies of all pages")
	f.StringVar(&c.disk, "disk", "", "also keep pages in this directory, for the next start")
	f.Var(&c.diskBytes, "disk-bytes", "size of all pages in the directory")
	f.StringVar(&c.debug, "debug", "", "serve a page of all waits and loads on this private address")
	f.StringVar(&c.check, "check", "", "say for how long the page at this URL would be kept, and why")
	f.StringVar(&c.listen, "listen", "", "serve on this address, like :8080; needs -origin")
	f.StringVar(&c.origin, "origin", "", "the URL whose pages are served; needs -listen")
	f.StringVar(&c.cert, "tls-cert", "", "serve HTTPS by this certificate file; needs -tls-key")
	f.StringVar(&c.key, "tls-key", "", "the file of the certificate's private key")
	f.StringVar(&c.accessLog, "access-log", "", "append a line for each request to this file; - is stdout")
	f.StringVar(&c.metrics, "metrics", "", "serve /metrics for Prometheus on this private address")
	f.IntVar(&c.conns, "max-conns", c.conns, "maximum number of connections of clients")
	f.DurationVar(&c.headerTime, "header-time", c.headerTime, "time for a client to send a header")
	f.DurationVar(&c.bodyTime, "body-time", c.bodyTime, "time for a client to send a piece of a body")
	f.DurationVar(&c.timeout, "origin-time", c.timeout, "time for the origin to send a header or a piece")
	c.proxyConfig.flags(f)
	f.DurationVar(&c.drain, "drain", c.drain, "time for running requests to end after a signal")
	return f
}

// newConfig returns the defaults.
func newConfig() *config {
	return &config{
		maxObject: 32 << 20, maxBytes: 512 << 20, drain: 10 * time.Second, diskBytes: 10 << 30,
		conns: 10_000, headerTime: 10 * time.Second, bodyTime: 30 * time.Second, timeout: 30 * time.Second,
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
	if slices.Contains(set, "check") {
		return c, c.checkPage(set)
	}
	if slices.Contains(set, "listen") || slices.Contains(set, "origin") {
		return c, c.checkServer(set)
	}
	for _, name := range set {
		if slices.Contains(serverFlags, name) || slices.Contains(proxyFlags, name) {
			return nil, fmt.Errorf("-%s is for the server, it means nothing without -listen and -origin", name)
		}
	}
	if !slices.Contains(set, "ttl") {
		c.ttl = 300 * time.Millisecond
	}
	return c, c.checkDemo()
}

func (c *config) checkBoth() error {
	switch {
	case c.ttl < 0:
		return fmt.Errorf("-ttl %v: must not be below 0", c.ttl)
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
	demoFlags   = []string{"duration", "clients", "keys", "zipf", "seed"}
	serverFlags = []string{"listen", "origin", "tls-cert", "tls-key", "max-conns", "header-time", "body-time",
		"origin-time", "drain", "access-log", "metrics", "disk", "disk-bytes"}
	bothFlags = []string{"ttl", "max-object", "max-bytes", "debug"}
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
	return c.checkLimits()
}

func (c *config) checkLimits() error {
	for _, limit := range []struct {
		name string
		d    time.Duration
	}{
		{"header-time", c.headerTime}, {"body-time", c.bodyTime}, {"origin-time", c.timeout}, {"drain", c.drain},
	} {
		if limit.d <= 0 {
			return fmt.Errorf("-%s %v: must be above 0", limit.name, limit.d)
		}
	}
	if c.diskBytes < c.maxObject {
		return fmt.Errorf("-disk-bytes %v: must be at least -max-object, %v", c.diskBytes, c.maxObject)
	}
	if c.conns < 1 {
		return fmt.Errorf("-max-conns %d: must be at least 1", c.conns)
	}
	if err := checkAddress(c.metrics); c.metrics != "" && err != nil {
		return fmt.Errorf("-metrics %q: %w", c.metrics, err)
	}
	if err := c.proxyConfig.checkNames(); err != nil {
		return err
	}
	return c.checkCertificate()
}

// checkCertificate reads the certificate, so that what is wrong with it is said at once.
func (c *config) checkCertificate() error {
	switch {
	case c.cert == "" && c.key == "":
		return nil
	case c.key == "":
		return errors.New("-tls-cert needs -tls-key")
	case c.cert == "":
		return errors.New("-tls-key needs -tls-cert")
	}
	if _, err := tls.LoadX509KeyPair(c.cert, c.key); err != nil {
		return fmt.Errorf("-tls-cert %s: %w", c.cert, cli.OneLine(err))
	}
	return nil
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("want host:port or :port")
	}
	return checkPort(port)
}

// checkPort returns an error unless port is a number, the name of a service, or empty.
func checkPort(port string) error {
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func parseOrigin(s string) (*url.URL, error) {
	u, err := parseURL(s)
	if err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		err = errors.New("want scheme, host and path only")
	}
	return u, err
}

// parseURL returns an absolute URL of HTTP.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		return nil, cli.OneLine(bad.Err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("want a URL that starts with http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	}
	return u, checkPort(u.Port())
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
		n, err := strconv.ParseUint(digits, 10, 63)
		*s = size(n) * u.bytes
		if err != nil || size(n) > math.MaxInt64/u.bytes {
			return errors.New("want a number of bytes like 4096, 64KiB, 32MiB or 1GiB")
		}
		return nil
	}
	return nil
}

func help() string {
	var b strings.Builder
	b.WriteString(`dedupcache is a caching reverse proxy that coalesces requests: however many
clients ask for a page that is not kept, its origin is asked once.

  go run ./examples/dedupcache
      shows what coalescing is worth: a slow origin, the cache and many HTTP
      clients in one process, which make the same requests without coalescing
      and with it.

  go run ./examples/dedupcache -listen :8080 -origin https://example.org
      serves a real origin, until SIGINT or SIGTERM.

  go run ./examples/dedupcache -check https://example.org/page
      asks for the page once, and says what would be kept of it and why.

`)
	f := flagSet(newConfig())
	section := func(title string, names ...string) {
		fmt.Fprintf(&b, "%s:\n", title)
		var flags []*flag.Flag
		for _, name := range names {
			flags = append(flags, f.Lookup(name))
		}
		cli.WriteFlags(&b, flags...)
	}
	section("The demo", demoFlags...)
	section("The server", serverFlags...)
	section("Requests and responses of the server", proxyFlags...)
	section("One page", "check")
	section("The demo and the server", bothFlags...)
	b.WriteString(`
In the demo, the default of -ttl is 300ms. -check also takes -ttl, -max-object,
-max-bytes, -origin-time and -ignore-set-cookies. Names and networks are lists
with commas. On the address of -metrics, POST /purge with ?url=/page,
?prefix=/dir/ or ?tag=news removes pages; with &soft they become stale instead.
`)
	b.WriteString("\nExit status: 0 done, 1 failed, 2 bad flags.\n")
	return b.String()
}
