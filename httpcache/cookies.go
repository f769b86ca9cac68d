package httpcache

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// cookieNames are names of cookies. A name that ends in * means all names with the prefix
// before the *.
type cookieNames []string

func (names cookieNames) has(name string) bool {
	return slices.ContainsFunc(names, func(known string) bool {
		prefix, isPrefix := strings.CutSuffix(known, "*")
		return name == known || isPrefix && strings.HasPrefix(name, prefix)
	})
}

func (names cookieNames) check(option string) error {
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "=;, \t\r\n") || strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			return fmt.Errorf("httpcache: %s: %q is not a cookie name, nor a prefix followed by *", option, name)
		}
	}
	return nil
}

// withoutCookies returns r as it is shared: with only the cookies in KeyCookies, sorted. It
// returns false if r has cookies that are neither in KeyCookies nor in IgnoreCookies.
func (c *Cache) withoutCookies(r *http.Request) (*http.Request, bool) {
	lines := r.Header["Cookie"]
	if len(lines) == 0 || c.Private { // in a private cache all are of one user
		return r, true
	}
	var keyed []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			switch name = strings.TrimSpace(name); {
			case pair == "":
			case cookieNames(c.KeyCookies).has(name):
				keyed = append(keyed, pair)
			case !cookieNames(c.IgnoreCookies).has(name):
				return nil, false
			}
		}
	}
	r = r.WithContext(r.Context())
	r.Header = maps.Clone(r.Header)
	if delete(r.Header, "Cookie"); len(keyed) > 0 {
		slices.SortStableFunc(keyed, func(a, b string) int {
			a, _, _ = strings.Cut(a, "=")
			b, _, _ = strings.Cut(b, "=")
			return strings.Compare(a, b)
		})
		r.Header["Cookie"] = []string{strings.Join(keyed, "; ")}
	}
	return r, true
}

// withoutSetCookies returns h without Set-Cookie, if all cookies in it are in
// IgnoreSetCookies, or else h itself.
func (c *Cache) withoutSetCookies(h http.Header) http.Header {
	for _, line := range h["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		if !cookieNames(c.IgnoreSetCookies).has(strings.TrimSpace(name)) {
			return h
		}
	}
	if len(h["Set-Cookie"]) > 0 {
		h = maps.Clone(h)
		delete(h, "Set-Cookie")
	}
	return h
}
