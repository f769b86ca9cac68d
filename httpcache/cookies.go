package httpcache

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// cookieNames are names of cookies; one that ends in * stands for all that begin
// with what is before it.
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
			return fmt.Errorf("httpcache: %s: %q is no name of a cookie, nor a prefix with a * behind it", option, name)
		}
	}
	return nil
}

// withoutCookies returns r as it is shared: with those cookies only that are
// part of the key, sorted. It returns false if there are others that may matter.
func (c *Cache) withoutCookies(r *http.Request) (*http.Request, bool) {
	lines := r.Header["Cookie"]
	if len(lines) == 0 || c.Private { // whose cookies are all of one user
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

// withoutSetCookies returns h without the cookies that it sets, if none of them
// matters, or else h itself.
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
