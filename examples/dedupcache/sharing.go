package main

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What one user asked for may be given to another only if neither the question
// nor the answer is personal. This file decides that; when in doubt, it says no.

// shareable reports whether the answer to r may be anybody's: a plain GET or
// HEAD that shows no credentials and asks for nothing special.
func shareable(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, name := range []string{"Authorization", "Cookie", "Range", "Upgrade", "Proxy-Authorization"} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	asks := cacheControl(r.Header)
	return !asks.has("no-store") && !asks.has("no-cache") && r.ContentLength == 0
}

// personal reports whether a response is for one user only, or may depend on
// request headers that are not part of the key: who is refused (401, 403, 429)
// could have shown something that the shared fetch does not.
func personal(res *http.Response) bool {
	says := cacheControl(res.Header)
	if says.has("private") || says.has("no-store") || len(res.Header["Set-Cookie"]) > 0 {
		return true
	}
	refused := res.StatusCode >= 400 && res.StatusCode < 500 && !keepableStatus(res.StatusCode)
	if refused || res.StatusCode < 200 || res.StatusCode == http.StatusPartialContent {
		return true
	}
	return slices.ContainsFunc(tokens(res.Header["Vary"]), func(name string) bool {
		return !strings.EqualFold(name, "Accept-Encoding")
	})
}

// keepFor returns how long a response may be kept: as long as it says, at most
// limit. An answer that is kept for no time is still shared by those who were
// waiting for it.
func keepFor(status int, h http.Header, limit time.Duration) time.Duration {
	if !keepableStatus(status) {
		return 0
	}
	says := cacheControl(h)
	if says.has("no-cache") {
		return 0
	}
	for _, name := range []string{"s-maxage", "max-age"} {
		if value, ok := says[name]; ok {
			return max(0, min(limit, seconds(value)-seconds(h.Get("Age"))))
		}
	}
	if len(h["Expires"]) > 0 {
		at, err := http.ParseTime(h.Get("Expires"))
		if err != nil { // "0", usually
			return 0
		}
		return max(0, min(limit, time.Until(at)))
	}
	return limit
}

// keepableStatus lists the answers that stay true for a while by themselves.
func keepableStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414:
		return true
	}
	return false
}

// directives are those of Cache-Control, in lower case, with their values.
type directives map[string]string

func (d directives) has(name string) bool { _, ok := d[name]; return ok }

func cacheControl(h http.Header) directives {
	d := directives{}
	for _, token := range tokens(h["Cache-Control"]) {
		name, value, _ := strings.Cut(token, "=")
		d[strings.ToLower(strings.TrimSpace(name))] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return d
}

// seconds reads a number of seconds; what is not one counts as none.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// tokens splits header values that are lists.
func tokens(values []string) []string {
	var all []string
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.TrimSpace(token); token != "" {
				all = append(all, token)
			}
		}
	}
	return all
}

// acceptsGzip reports whether r takes a gzip answer. The cache asks the origin
// for gzip or for nothing, so Accept-Encoding adds one bit to the key.
func acceptsGzip(r *http.Request) bool {
	return slices.ContainsFunc(tokens(r.Header["Accept-Encoding"]), func(token string) bool {
		name, q, _ := strings.Cut(token, ";")
		q = strings.ReplaceAll(q, " ", "")
		refused := strings.HasPrefix(q, "q=0") && strings.Trim(q[3:], ".0") == ""
		return strings.EqualFold(strings.TrimSpace(name), "gzip") && !refused
	})
}
