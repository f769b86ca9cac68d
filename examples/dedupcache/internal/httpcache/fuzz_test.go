package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
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
		a, b := httpcache.Parse([]string{one}), httpcache.Parse([]string{one, two})
		noMorePermissive(t, a, b)
		noMorePermissive(t, httpcache.Parse([]string{two}), b)
		for _, d := range []httpcache.Delta{a.MaxAge, a.SMaxAge, a.StaleIfError, a.StaleWhileRevalidate, a.MinFresh} {
			if d.For < 0 || d.For > 1<<31*time.Second || d.For != 0 && !d.Given {
				t.Errorf("%q: %v", one, d)
			}
		}
		if strings.EqualFold(strings.TrimSpace(one), "no-store") && !a.NoStore {
			t.Errorf("%q is overlooked", one)
		}
		// What is closed with a comma of its own hides nothing of the next.
		if d := httpcache.Parse([]string{strings.ReplaceAll(one, `"`, "") + ",no-store"}); !d.NoStore {
			t.Errorf("%q hides what is behind it", one)
		}
		policy(t, one, two)
	})
}

func noMorePermissive(t *testing.T, a, b httpcache.Directives) {
	if a.NoStore && !b.NoStore || a.NoCache && !b.NoCache || a.Private && !b.Private || a.MustRevalidate && !b.MustRevalidate {
		t.Errorf("%+v became %+v", a, b)
	}
	for _, d := range [][2]httpcache.Delta{
		{a.MaxAge, b.MaxAge}, {a.SMaxAge, b.SMaxAge}, {a.StaleIfError, b.StaleIfError},
		{a.StaleWhileRevalidate, b.StaleWhileRevalidate}, {b.MinFresh, a.MinFresh},
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
	p := httpcache.PolicyOf(200, h, now.Add(-time.Second), now, time.Minute)
	if p.Lifetime < 0 || p.Age < 0 || p.Age+p.Lifetime+p.StaleIfError+p.StaleWhileRevalidate < 0 {
		t.Errorf("%q, %q: %+v", one, two, p)
	}
	if httpcache.Parse(h["Cache-Control"]).NoStore && !p.Personal {
		t.Errorf("%q is not kept", one)
	}
	httpcache.NotModified(http.Header{"If-None-Match": {one, two}, "If-Modified-Since": {two}}, h)
	httpcache.EndToEnd(h)
}
