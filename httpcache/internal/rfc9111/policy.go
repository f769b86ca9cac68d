package rfc9111

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Policy says what a shared cache may do with a response.
type Policy struct {
	// Personal: it is for the user that asked and for no other, and not to be
	// stored.
	Personal bool

	// Why it is Personal: the directive, field or status; or "".
	Why string

	// ForAll: it may be stored although the request had credentials, and may be
	// used for requests that have some (RFC 9111, 3.5).
	ForAll bool

	// Lifetime is for how long it is fresh, counted from when its Age was 0.
	Lifetime time.Duration

	// Rule is what Lifetime follows from: a directive, "Expires", "Last-Modified",
	// or "TTL"; "" if nothing says that it is fresh at all.
	Rule string

	// Age is how old it was when it was received.
	Age time.Duration

	// For how long after its Lifetime it may still be used: while it is being
	// validated, and if that fails.
	StaleWhileRevalidate, StaleIfError time.Duration

	// MustRevalidate: it must not be used once it is stale, not even if the
	// origin is gone. The two times above are 0 then.
	MustRevalidate bool
}

// Rules are what the user of this package decides.
type Rules struct {
	// TTL is how long a response is fresh, from when it is received, that may be
	// kept but says nothing about that.
	TTL time.Duration

	// Targeted are the fields that hold instead of Cache-Control and Expires
	// (RFC 9213), in canonical form: the first that is there and valid.
	Targeted []string

	// Private: the cache is that of one user.
	Private bool
}

// maxHeuristic bounds the lifetime that is derived from Last-Modified.
const maxHeuristic = 24 * time.Hour

// PolicyOf reads the policy of a response that was asked for and received at
// the given times. The caller looks at Vary.
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

// whyPersonal returns why a response is for one user, "" if it need not be.
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

// Holding returns the name of the field whose directives hold, and these.
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

// never tells statuses of responses that are not stored, whatever they say: they
// are not final, or about a part, a condition or credentials of the request.
func never(status int) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified, http.StatusProxyAuthRequired,
		http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return status < 200
}

// byDefault tells statuses that stay true for a while by themselves: their
// responses may be kept though they do not say so.
func byDefault(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// understood tells statuses of RFC 9110. None that may be stored has rules of its
// own.
func understood(status int) bool {
	return status != http.StatusIMUsed && http.StatusText(status) != ""
}

// explicit is the lifetime that a response gives, and by which rule.
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

// heuristic is the lifetime of a response that gives none: a tenth of the time
// since it was modified last (RFC 9111, 4.2.2), or ttl from when it is received.
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

// age follows RFC 9111, 4.2.3: what the caches further up say, plus the time
// on the way; or what the origin's Date says, if that is more. A Date leaves its
// fraction of a second out, which is no age.
func age(h http.Header, asked, received time.Time) time.Duration {
	said := saidAge(h["Age"])
	if date, ok := dateOf(h, "Date", received); ok {
		said = max(said, min(received.Sub(date)-time.Second, maxSeconds*time.Second)-received.Sub(asked))
	}
	return said + max(0, received.Sub(asked))
}

// saidAge reads Age. Of a list the first number counts (RFC 9111, 5.1). What is
// no number, or comes in two lines, may stand for any: it counts as the largest.
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

// dateOf reads a field that is a date, and there once.
func dateOf(h http.Header, name string, now time.Time) (time.Time, bool) {
	if fields := h[name]; len(fields) == 1 {
		return Date(fields[0], now)
	}
	return time.Time{}, false
}
