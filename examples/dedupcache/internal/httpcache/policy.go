package httpcache

import (
	"net/http"
	"time"
)

// A Policy says what a shared cache may do with a response.
type Policy struct {
	// Personal: it is for the user that asked and for no other, and not to be
	// stored.
	Personal bool

	// Lifetime is for how long it is fresh, counted from when its Age was 0.
	Lifetime time.Duration

	// Age is how old it was when it was received.
	Age time.Duration

	// For how long after its Lifetime it may still be used: while it is being
	// validated, and if that fails.
	StaleWhileRevalidate, StaleIfError time.Duration

	// MustRevalidate: it must not be used once it is stale, not even if the
	// origin is gone. The two times above are 0 then.
	MustRevalidate bool
}

// PolicyOf reads the policy of a response that was asked for and received at
// the given times. One that does not say is fresh for heuristic from then on,
// however old it is, if its status allows that. The caller looks at Vary.
func PolicyOf(status int, h http.Header, asked, received time.Time, heuristic time.Duration) Policy {
	says := Parse(h["Cache-Control"])
	p := Policy{
		Personal: says.NoStore || says.Private || len(h["Set-Cookie"]) > 0 || personalStatus(status),
		Age:      age(h, asked, received),
		// s-maxage is proxy-revalidate too.
		MustRevalidate: says.MustRevalidate || says.NoCache || says.SMaxAge.Given,
	}
	p.Lifetime = lifetime(status, h, says, received, p.Age+heuristic)
	if !p.MustRevalidate {
		p.StaleWhileRevalidate, p.StaleIfError = says.StaleWhileRevalidate.For, says.StaleIfError.For
	}
	return p
}

// personalStatus tells statuses that say more about the user that asked than about
// what was asked for: refusals, parts, and what is not final.
func personalStatus(status int) bool {
	refused := status >= 400 && status < 500 && !keepableStatus(status)
	return refused || status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified
}

// keepableStatus tells statuses that stay true for a while by themselves.
func keepableStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414:
		return true
	}
	return false
}

func lifetime(status int, h http.Header, says Directives, received time.Time, heuristic time.Duration) time.Duration {
	switch {
	case says.NoCache:
		return 0
	case says.SMaxAge.Given:
		return says.SMaxAge.For
	case says.MaxAge.Given:
		return says.MaxAge.For
	case len(h["Expires"]) > 0:
		return untilExpires(h, received)
	case keepableStatus(status):
		return heuristic
	}
	return 0
}

// untilExpires is the time from Date to Expires. An Expires that is no date,
// "0" for instance, is past; of several, one is enough.
func untilExpires(h http.Header, received time.Time) time.Duration {
	date, ok := dateOf(h)
	if !ok {
		date = received
	}
	least := time.Duration(maxSeconds) * time.Second
	for _, field := range h["Expires"] {
		at, err := http.ParseTime(field)
		if err != nil {
			return 0
		}
		least = min(least, at.Sub(date))
	}
	return max(0, least)
}

// age follows RFC 9111, 4.2.3: what the caches further up say, plus the time
// on the way; or what the origin's Date says, if that is more. A Date leaves its
// fraction of a second out, which is no age.
func age(h http.Header, asked, received time.Time) time.Duration {
	said := time.Duration(0)
	for _, field := range h["Age"] {
		if span, ok := seconds(field); ok {
			said = max(said, span)
		}
	}
	if date, ok := dateOf(h); ok {
		said = max(said, min(received.Sub(date)-time.Second, maxSeconds*time.Second)-received.Sub(asked))
	}
	return said + max(0, received.Sub(asked))
}

func dateOf(h http.Header) (time.Time, bool) {
	date, err := http.ParseTime(h.Get("Date"))
	return date, err == nil
}
