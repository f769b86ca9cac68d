package rfc9111

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Policy says what a shared cache may do with a response.
type Policy struct {
	// Personal is true if the response is only for the user that asked, and must not be
	// stored.
	Personal bool

	// Why is the directive, field or status that makes it Personal, or "".
	Why string

	// ForAll is true if the response may be stored although the request had credentials,
	// and may answer requests with credentials (RFC 9111, 3.5).
	ForAll bool

	// Lifetime is the time for which the response is fresh, from when its Age was zero.
	Lifetime time.Duration

	// Rule is what Lifetime follows from: a directive, "Expires", "Last-Modified",
	// or "TTL". It is "" if the response has no lifetime.
	Rule string

	// Age is the age of the response when it was received.
	Age time.Duration

	// StaleWhileRevalidate and StaleIfError are the times after Lifetime for which the
	// response may be used while it is validated, and if that fails.
	StaleWhileRevalidate, StaleIfError time.Duration

	// MustRevalidate is true if the response must not be used once it is stale, even if
	// the origin fails. Then the two times above are zero.
	MustRevalidate bool
}

// Rules are the options of PolicyOf.
type Rules struct {
	// TTL is the time for which a response is fresh after it was received, if it may be
	// stored and has no explicit lifetime.
	TTL time.Duration

	// Targeted names the targeted fields (RFC 9213), in canonical form. The first that is
	// present and valid replaces Cache-Control and Expires.
	Targeted []string

	// Private is true for the cache of one user.
	Private bool
}

// maxHeuristic bounds the lifetime that is derived from Last-Modified.
const maxHeuristic = 24 * time.Hour

// PolicyOf returns the policy of a response that was asked for and received at the given
// times. It ignores Vary.
func PolicyOf(status int, h http.Header, asked, received time.Time, rules Rules) Policy {
	field, says := rules.Holding(h)
	if rules.Private {
		says.Private, says.ProxyRevalidate, says.SMaxAge = false, false, Delta{}
	}
	p := Policy{
		ForAll: rules.Private || says.Public || says.MustRevalidate || says.SMaxAge.Given,
		Age:    age(h, asked, received),
		// s-maxage is proxy-revalidate too.
		MustRevalidate: says.MustRevalidate || says.ProxyRevalidate || says.NoCache || says.SMaxAge.Given,
	}
	expires := h["Expires"]
	if field != "Cache-Control" {
		expires = nil
	}
	isExplicit := says.SMaxAge.Given || says.MaxAge.Given || len(expires) > 0
	p.Why = whyPersonal(status, says, isExplicit, len(h["Set-Cookie"]) > 0 && !rules.Private)
	p.Personal = p.Why != ""
	switch {
	case says.NoCache:
		p.Rule = "no-cache"
	case isExplicit:
		p.Lifetime, p.Rule = explicit(says, expires, h, received)
	case says.Public || byDefault(status):
		p.Lifetime, p.Rule = heuristic(h, p.Age, received, rules.TTL)
	}
	if !p.MustRevalidate {
		p.StaleWhileRevalidate, p.StaleIfError = says.StaleWhileRevalidate.For, says.StaleIfError.For
	}
	return p
}

// whyPersonal returns why a response is for one user only, or "".
func whyPersonal(status int, says Directives, isExplicit, setsCookie bool) string {
	switch {
	case says.Private:
		return "private"
	case setsCookie:
		return "Set-Cookie"
	case says.NoStore && !(says.MustUnderstand && understood(status)):
		return "no-store"
	case says.MustUnderstand && !understood(status):
		return "must-understand"
	case never(status), status >= 400 && status < 500 && !byDefault(status) && !isExplicit && !says.Public:
		return "status " + strconv.Itoa(status)
	}
	return ""
}

// Holding returns the name of the field whose directives are obeyed, and the directives.
func (r *Rules) Holding(h http.Header) (name string, d Directives) {
	for _, name := range r.Targeted {
		if r.Private {
			break
		}
		if fields := h[name]; len(fields) > 0 {
			if d, ok := ParseTargeted(fields); ok {
				return name, d
			}
		}
	}
	return "Cache-Control", Parse(h["Cache-Control"])
}

// never reports whether responses with a status are never stored: because they are not
// final, or are about a range, a condition or credentials of the request.
func never(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified, http.StatusProxyAuthRequired,
		http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return status < 200
}

// byDefault reports whether responses with a status may be stored without an explicit
// lifetime (RFC 9110, 15.1).
func byDefault(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// understood reports whether a status is one of RFC 9110. None of those that may be stored
// has caching rules of its own.
func understood(status int) bool {
	return status != http.StatusIMUsed && http.StatusText(status) != ""
}

// explicit returns the explicit lifetime of a response, and its rule.
func explicit(says Directives, expires []string, h http.Header, received time.Time) (time.Duration, string) {
	switch {
	case says.SMaxAge.Given:
		return says.SMaxAge.For, "s-maxage"
	case says.MaxAge.Given:
		return says.MaxAge.For, "max-age"
	case len(expires) > 1: // RFC 9111, 4.2.1
		return 0, "Expires"
	}
	at, ok := Date(expires[0], received)
	if !ok { // "0", for instance
		return 0, "Expires"
	}
	date, ok := dateOf(h, "Date", received)
	if !ok {
		date = received
	}
	return min(max(0, at.Sub(date)), maxSeconds*time.Second), "Expires"
}

// heuristic returns the lifetime of a response without an explicit one: a tenth of the time
// since Last-Modified (RFC 9111, 4.2.2), or ttl from when it was received.
func heuristic(h http.Header, age time.Duration, received time.Time, ttl time.Duration) (time.Duration, string) {
	switch {
	case len(h["Last-Modified"]) == 0 && ttl > 0:
		return age + ttl, "TTL"
	case len(h["Last-Modified"]) == 0:
		return age, "" // stale from now on
	}
	date, ok := dateOf(h, "Date", received)
	if !ok {
		date = received
	}
	modified, ok := dateOf(h, "Last-Modified", received)
	if !ok {
		return 0, "Last-Modified"
	}
	return min(max(0, date.Sub(modified)/10), maxHeuristic), "Last-Modified"
}

// age returns the age of a response as in RFC 9111, 4.2.3: the Age field plus the time of the
// exchange, or the time since Date, if that is more. Date has no fraction of a second, so up
// to a second is not counted.
func age(h http.Header, asked, received time.Time) time.Duration {
	said := saidAge(h["Age"])
	if date, ok := dateOf(h, "Date", received); ok {
		said = max(said, min(received.Sub(date)-time.Second, maxSeconds*time.Second)-received.Sub(asked))
	}
	return said + max(0, received.Sub(asked))
}

// saidAge returns the value of Age. Of a list the first number counts (RFC 9111, 5.1). If the
// value is not a number, or there are two lines, it counts as the largest.
func saidAge(fields []string) time.Duration {
	if len(fields) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(fields[0], ",")
	span, ok := digits(strings.Trim(first, " \t"))
	if !ok || len(fields) > 1 {
		return maxSeconds * time.Second
	}
	return span
}

// dateOf returns the value of a field that is a date. It returns false if there are none or
// several lines.
func dateOf(h http.Header, name string, now time.Time) (time.Time, bool) {
	if fields := h[name]; len(fields) == 1 {
		return Date(fields[0], now)
	}
	return time.Time{}, false
}
