package rfc9111_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// FuzzCacheControl reads any field as a response's and a request's. It must not
// panic, the numbers must stay where sums of a few of them fit, and one more
// directive, or one more field, must never make anything more permissive.
func FuzzCacheControl(f *testing.F) {
	for _, seed := range []string{
		"", "no-store", "max-age=5", `private="a, b", max-age=10`, "s-maxage=99999999999999999999",
	} {
		f.Add(seed, "max-age=7, no-cache")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		a, b := rfc9111.Parse([]string{one}), rfc9111.Parse([]string{one, two})
		noMorePermissive(t, a, b)
		noMorePermissive(t, rfc9111.Parse([]string{two}), b)
		for _, d := range []rfc9111.Delta{a.MaxAge, a.SMaxAge, a.StaleIfError, a.StaleWhileRevalidate, a.MinFresh, a.MaxStale} {
			if d.For < 0 || d.For > 1<<31*time.Second || d.For != 0 && !d.Given {
				t.Errorf("%q: %v", one, d)
			}
		}
		if strings.EqualFold(strings.TrimSpace(one), "no-store") && !a.NoStore {
			t.Errorf("%q is overlooked", one)
		}
		// What is closed with a comma of its own hides nothing of the next.
		if d := rfc9111.Parse([]string{strings.ReplaceAll(one, `"`, "") + ",no-store"}); !d.NoStore {
			t.Errorf("%q hides what is behind it", one)
		}
		policy(t, one, two)
	})
}

func noMorePermissive(t *testing.T, a, b rfc9111.Directives) {
	if a.NoStore && !b.NoStore || a.NoCache && !b.NoCache || a.Private && !b.Private || a.MustRevalidate && !b.MustRevalidate ||
		a.ProxyRevalidate && !b.ProxyRevalidate {
		t.Errorf("%+v became %+v", a, b)
	}
	for _, d := range [][2]rfc9111.Delta{
		{a.MaxAge, b.MaxAge}, {a.SMaxAge, b.SMaxAge}, {a.StaleIfError, b.StaleIfError},
		{a.StaleWhileRevalidate, b.StaleWhileRevalidate}, {b.MinFresh, a.MinFresh}, {a.MaxStale, b.MaxStale},
	} {
		if d[0].Given && d[1].Given && d[1].For > d[0].For {
			t.Errorf("%+v became %+v", a, b)
		}
	}
}

// policy uses the fields wherever a response or a request may have them.
func policy(t *testing.T, one, two string) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	h := http.Header{
		"Cache-Control": {one}, "Expires": {two}, "Age": {one, two}, "Date": {two},
		"Vary": {one}, "Connection": {two}, "Etag": {two}, "Last-Modified": {one},
	}
	p := rfc9111.PolicyOf(200, h, now.Add(-time.Second), now, rfc9111.Rules{TTL: time.Minute})
	if p.Lifetime < 0 || p.Age < 0 || p.Age+p.Lifetime+p.StaleIfError+p.StaleWhileRevalidate < 0 {
		t.Errorf("%q, %q: %+v", one, two, p)
	}
	if d := rfc9111.Parse(h["Cache-Control"]); d.NoStore && !d.MustUnderstand && !p.Personal {
		t.Errorf("%q is not kept", one)
	}
	rfc9111.NotModified(http.Header{"If-None-Match": {one, two}, "If-Modified-Since": {two}}, h, now)
	rfc9111.EndToEnd(h)
}

// FuzzTargeted reads any field as a targeted one. A valid one must stay valid
// when a directive that nobody knows is added, and must not when the syntax is
// broken behind it.
func FuzzTargeted(f *testing.F) {
	for _, seed := range []string{
		"", "max-age=5", "max-age=5;a=1, no-store", `private="a, b"`, "no-cache=?0", "a=(1 2);b, max-age=1.5",
		"a=:YQ==:, b=*t/x, must-revalidate", "max-age=-1", "max-age=999999999999999", "a=(", `a="\`, "a;;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		d, ok := rfc9111.ParseTargeted([]string{field})
		if _, broken := rfc9111.ParseTargeted([]string{field, "&"}); broken {
			t.Errorf("%q and & are valid", field)
		}
		if !ok {
			if d != (rfc9111.Directives{}) {
				t.Errorf("%q is invalid, and %+v", field, d)
			}
			return
		}
		if more, ok := rfc9111.ParseTargeted([]string{field, "vigil-frob;x=1"}); !ok || more != d {
			t.Errorf("%q becomes %+v, %v", field, more, ok)
		}
		if d.MaxAge.For < 0 || d.MaxAge.For > 1<<31*time.Second {
			t.Errorf("%q: %v", field, d.MaxAge)
		}
	})
}

// FuzzDate reads any date. What is read must be what net/http reads, and must be
// read again when it is written.
func FuzzDate(f *testing.F) {
	for _, seed := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Sun,  06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 8:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC", "0", "", "Sat, 31 Dec 2016 23:59:60 GMT", "Sun Nov 06 24:49:37 1994",
	} {
		f.Add(seed)
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := rfc9111.Date(s, now)
		if !ok {
			if !at.IsZero() {
				t.Errorf("%q is none, and %v", s, at)
			}
			return
		}
		if again, ok := rfc9111.Date(at.Format(http.TimeFormat), now); !ok || !again.Equal(at) {
			t.Errorf("%q is %v, and then %v", s, at, again)
		}
		std, err := http.ParseTime(s)
		if err == nil && !std.Equal(at) && std.Sub(at).Abs() < 99*365*24*time.Hour {
			t.Errorf("%q is %v, not %v", s, at, std)
		}
	})
}
