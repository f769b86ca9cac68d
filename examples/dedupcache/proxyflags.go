package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/vigil-go/vigil/httpcache"
)

// A list is a flag of values with commas between them.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

// proxyConfig is what the server's flags say about requests and their answers.
type proxyConfig struct {
	trusted                                  networks
	preserveHost, forwarded                  bool
	ignoreCookies, keyCookies, ignoreSetting list
	name                                     string
}

func (c *proxyConfig) flags(f *flag.FlagSet) {
	f.Var(&c.trusted, "trusted-proxies", "proxies whose X-Forwarded-* fields are trusted")
	f.BoolVar(&c.preserveHost, "preserve-host", false, "pass the client's Host on to the origin")
	f.BoolVar(&c.forwarded, "forwarded", false, "add a Forwarded field to requests")
	f.Var(&c.ignoreCookies, "ignore-cookies", "cookies that do not affect pages; a* is a prefix")
	f.Var(&c.keyCookies, "key-cookies", "cookies that affect pages")
	f.Var(&c.ignoreSetting, "ignore-set-cookies", "cookies of pages that clients do not need")
	f.StringVar(&c.name, "name", "vigil", "name of this cache in Cache-Status")
}

// proxyFlags are the names of the flags.
var proxyFlags = []string{"trusted-proxies", "preserve-host", "forwarded", "ignore-cookies", "key-cookies",
	"ignore-set-cookies", "name"}

// checkNames has each flag that the cache looks at checked by it.
func (c *proxyConfig) checkNames() error {
	for _, test := range []struct {
		name string
		o    httpcache.Options
	}{
		{"ignore-cookies", httpcache.Options{IgnoreCookies: c.ignoreCookies}},
		{"key-cookies", httpcache.Options{KeyCookies: c.keyCookies}},
		{"ignore-set-cookies", httpcache.Options{IgnoreSetCookies: c.ignoreSetting}},
		{"name", httpcache.Options{Name: c.name}},
	} {
		cache, err := httpcache.New(&test.o)
		if err != nil {
			return fmt.Errorf("-%s: %s", test.name, strings.TrimPrefix(err.Error(), "httpcache: "))
		}
		cache.Close()
	}
	if c.name == "" {
		return errors.New("-name: must not be empty")
	}
	return nil
}

// networks is a flag of networks, or addresses, with commas between them.
type networks []netip.Prefix

func (n *networks) String() string {
	var all list
	for _, p := range *n {
		all = append(all, p.String())
	}
	return all.String()
}

func (n *networks) Set(text string) error {
	*n = nil
	for one := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(one)
		if a, bad := netip.ParseAddr(one); bad == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return errors.New("want networks like 10.0.0.0/8,192.0.2.1")
		}
		*n = append(*n, p)
	}
	return nil
}

// options are those of the cache.
func (c *config) options(log *slog.Logger) *httpcache.Options {
	return &httpcache.Options{
		MaxBytes: int64(c.maxBytes), MaxObject: int64(c.maxObject), TTL: c.ttl, Timeout: c.timeout, Logger: log,
		IgnoreCookies: c.ignoreCookies, KeyCookies: c.keyCookies, IgnoreSetCookies: c.ignoreSetting, Name: c.name,
	}
}

// proxyOptions are those of the proxy.
func (c *config) proxyOptions() *httpcache.ProxyOptions {
	return &httpcache.ProxyOptions{
		TrustedProxies: c.trusted, PreserveHost: c.preserveHost, Forwarded: c.forwarded, BodyTimeout: c.bodyTime,
	}
}

// checkFlags are the flags that -check may be combined with.
var checkFlags = []string{"check", "ttl", "origin-time", "max-object", "max-bytes", "ignore-set-cookies"}

// checkPage looks at -check, and the flags that were set with it.
func (c *config) checkPage(set []string) error {
	for _, name := range set {
		if !slices.Contains(checkFlags, name) {
			return fmt.Errorf("-%s means nothing with -check", name)
		}
	}
	page, err := parseURL(c.check)
	if err != nil {
		return fmt.Errorf("-check %q: %w", c.check, err)
	}
	if page.User != nil || page.Fragment != "" {
		return errors.New("-check: want a URL without a user and a fragment")
	}
	c.page = page
	if c.timeout <= 0 {
		return fmt.Errorf("-origin-time %v: must be above 0", c.timeout)
	}
	return c.proxyConfig.checkNames()
}
