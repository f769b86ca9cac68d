package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/examples/dedupcache/internal/httpcache"
	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func after(seconds int64) httpcache.Delta {
	return httpcache.Delta{Given: true, For: time.Duration(seconds) * time.Second}
}

const most = 1 << 31 // seconds

func TestParse(t *testing.T) {
	type is = httpcache.Directives
	for _, test := range []struct {
		field string
		want  is
	}{
		{"", is{}},
		{" , ,, ", is{}},
		{"public, immutable, frob=7", is{}},
		{"no-store", is{NoStore: true}},
		{"No-Store=1", is{NoStore: true}},
		{"no-cache, private", is{NoCache: true, Private: true}},
		{`private="X-User", no-cache="Set-Cookie, X"`, is{NoCache: true, Private: true}},
		{"must-revalidate", is{MustRevalidate: true}},
		{"proxy-revalidate", is{MustRevalidate: true}},
		{"only-if-cached", is{OnlyIfCached: true}},
		{"max-age=5", is{MaxAge: after(5)}},
		{"MAX-AGE\t= \"5\" ", is{MaxAge: after(5)}},
		{"max-age=0005", is{MaxAge: after(5)}},
		{"max-age=5,s-maxage=6", is{MaxAge: after(5), SMaxAge: after(6)}},
		{"stale-while-revalidate=7, stale-if-error=8", is{StaleWhileRevalidate: after(7), StaleIfError: after(8)}},

		// Semicolons that should have been commas.
		{"max-age=5; no-store", is{NoStore: true, MaxAge: after(5)}},
		{"private;max-age=5", is{Private: true, MaxAge: after(5)}},
		{`frob="a; no-store"`, is{}},

		// Two of a kind: the one that shares less.
		{"max-age=5, max-age=3, max-age=4", is{MaxAge: after(3)}},
		{"max-age=5, max-age=x", is{MaxAge: after(0)}},
		{"stale-if-error=5, stale-if-error=3", is{StaleIfError: after(3)}},
		{"min-fresh=5, min-fresh=7, min-fresh=6", is{MinFresh: after(7)}},

		// No numbers.
		{"max-age", is{MaxAge: after(0)}},
		{"max-age=", is{MaxAge: after(0)}},
		{`max-age=""`, is{MaxAge: after(0)}},
		{"max-age=-1", is{MaxAge: after(0)}},
		{"max-age=+1", is{MaxAge: after(0)}},
		{"max-age=1.5", is{MaxAge: after(0)}},
		{"max-age=1e3", is{MaxAge: after(0)}},
		{"max-age=1 2", is{MaxAge: after(0)}},
		{"s-maxage=soon", is{SMaxAge: after(0)}},
		{"stale-while-revalidate", is{StaleWhileRevalidate: after(0)}},
		{"min-fresh=x", is{MinFresh: after(most)}},

		// Numbers that do not fit.
		{"max-age=2147483647", is{MaxAge: after(most - 1)}},
		{"max-age=2147483649", is{MaxAge: after(most)}},
		{"max-age=" + strings.Repeat("9", 1000), is{MaxAge: after(most)}},

		// Quotes.
		{`frob="a, no-store", max-age=5`, is{MaxAge: after(5)}},
		{`frob="a\", no-store", max-age=5`, is{MaxAge: after(5)}},
		{`frob="a, no-store, max-age=5`, is{NoStore: true, MaxAge: after(5)}},
		{`frob="a\", no-store`, is{NoStore: true}},
		{`"no-store"`, is{NoStore: true}},
		{`a"b, no-store, c"d`, is{NoStore: true}},
		{`max-age="5"0`, is{MaxAge: after(0)}},
		{`max-age="5`, is{MaxAge: after(0)}},
	} {
		require.Equal(t, test.want, httpcache.Parse([]string{test.field}), "%q", test.field)
	}
	require.Equal(t, is{NoStore: true, MaxAge: after(3)}, httpcache.Parse([]string{"max-age=5", "no-store, max-age=3"}))
	require.Equal(t, is{}, httpcache.Parse(nil))
}

var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func headerOf(lines string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(lines, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

func TestLifetime(t *testing.T) {
	const heuristic = 7 * time.Second
	for _, test := range []struct {
		status int
		header string
		want   int64 // seconds
	}{
		{200, "", 7},
		{404, "", 7},
		{200, "Age: 100", 107},
		{302, "", 0},
		{500, "", 0},
		{302, "Cache-Control: max-age=3", 3},
		{200, "Cache-Control: max-age=3, s-maxage=5", 5},
		{200, "Cache-Control: s-maxage=0, max-age=3", 0},
		{200, "Cache-Control: no-cache, max-age=3", 0},
		{200, "Cache-Control: max-age=3|Expires: Sat, 01 Jan 2000 00:00:10 GMT", 3},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT", 10},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT|Date: Sat, 01 Jan 2000 00:00:02 GMT", 8},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT|Expires: Sat, 01 Jan 2000 00:00:05 GMT", 5},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT|Expires: never", 0},
		{200, "Expires: 0", 0},
		{200, "Expires: ", 0},
		{200, "Expires: Fri, 31 Dec 1999 00:00:00 GMT", 0},
		{200, "Expires: Fri, 31 Dec 9999 23:59:59 GMT", most},
	} {
		p := httpcache.PolicyOf(test.status, headerOf(test.header), midnight, midnight, heuristic)
		require.Equal(t, time.Duration(test.want)*time.Second, p.Lifetime, "%d %s", test.status, test.header)
	}
}

func TestAge(t *testing.T) {
	for _, test := range []struct {
		header string
		onWay  time.Duration
		want   time.Duration
	}{
		{"", 0, 0},
		{"", 3 * time.Second, 3 * time.Second},
		{"Age: 5", 3 * time.Second, 8 * time.Second},
		{"Age: 5|Age: 9", 0, 9 * time.Second},
		{"Age: x", 0, 0},
		{"Age: -5", 0, 0},
		{"Age: 99999999999999999999", 0, most * time.Second},
		{"Date: Fri, 31 Dec 1999 23:59:50 GMT", 0, 9 * time.Second}, // a Date may leave out a second
		{"Date: Fri, 31 Dec 1999 23:59:50 GMT|Age: 20", 0, 20 * time.Second},
		{"Date: Fri, 31 Dec 1999 23:59:50 GMT", 9 * time.Second, 9 * time.Second},
		{"Date: Sat, 01 Jan 2000 01:00:00 GMT", 0, 0}, // a clock that is fast
		{"Date: Mon, 01 Jan 0001 00:00:00 GMT", 0, most * time.Second},
		{"Date: today", 0, 0},
	} {
		p := httpcache.PolicyOf(200, headerOf(test.header), midnight.Add(-test.onWay), midnight, 0)
		require.Equal(t, test.want, p.Age, "%s after %v", test.header, test.onWay)
	}
}

func TestStaleUse(t *testing.T) {
	const allowed = "stale-while-revalidate=5, stale-if-error=6"
	for _, test := range []struct {
		says string
		may  bool
	}{
		{"max-age=1, ", true},
		{"", true},
		{"no-cache, ", false},
		{"must-revalidate, ", false},
		{"proxy-revalidate, ", false},
		{"s-maxage=1, ", false},
	} {
		p := httpcache.PolicyOf(200, headerOf("Cache-Control: "+test.says+allowed), midnight, midnight, 0)
		require.Equal(t, !test.may, p.MustRevalidate, test.says)
		if test.may {
			require.Equal(t, 5*time.Second, p.StaleWhileRevalidate)
			require.Equal(t, 6*time.Second, p.StaleIfError)
		} else {
			require.Zero(t, p.StaleWhileRevalidate)
			require.Zero(t, p.StaleIfError)
		}
	}
}

func TestPersonal(t *testing.T) {
	for _, test := range []struct {
		status int
		header string
		want   bool
	}{
		{200, "", false},
		{200, "Cache-Control: public, max-age=5", false},
		{200, "Cache-Control: no-cache", false},
		{200, "Cache-Control: private", true},
		{200, "Cache-Control: max-age=5|Cache-Control: no-store", true},
		{200, "Set-Cookie: a=b", true},
		{404, "", false},
		{410, "", false},
		{401, "Cache-Control: max-age=5", true},
		{403, "", true},
		{429, "", true},
		{206, "", true},
		{304, "", true},
		{101, "", true},
		{500, "", false},
	} {
		p := httpcache.PolicyOf(test.status, headerOf(test.header), midnight, midnight, 0)
		require.Equal(t, test.want, p.Personal, "%d %s", test.status, test.header)
	}
}

func TestNotModified(t *testing.T) {
	stored := headerOf(`ETag: W/"a,b"|Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT`)
	for _, test := range []struct {
		request string
		want    bool
	}{
		{"", false},
		{`If-None-Match: "a,b"`, true},
		{`If-None-Match: W/"a,b"`, true},
		{`If-None-Match: "x" , "a,b"`, true},
		{`If-None-Match: "x"|If-None-Match: "a,b"`, true},
		{"If-None-Match: *", true},
		{`If-None-Match: "a"`, false},
		{`If-None-Match: a,b`, false},
		{`If-None-Match: "x`, false},
		{`If-None-Match: `, false},
		{`If-None-Match: "x"|If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT`, false},
		{"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", true},
		{"If-Modified-Since: Fri, 31 Dec 1999 23:59:59 GMT", false},
		{"If-Modified-Since: now", false},
	} {
		require.Equal(t, test.want, httpcache.NotModified(headerOf(test.request), stored), test.request)
	}
	require.False(t, httpcache.NotModified(headerOf(`If-None-Match: ""`), http.Header{}))
	require.False(t, httpcache.NotModified(headerOf("If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"), http.Header{}))
}

func TestAskIfChanged(t *testing.T) {
	for stored, want := range map[string]string{
		"":                           "",
		`ETag: "a"`:                  `If-None-Match: "a"`,
		`ETag: "a"|Last-Modified: x`: `If-None-Match: "a"|If-Modified-Since: x`,
		"Last-Modified: x":           "If-Modified-Since: x",
	} {
		request := http.Header{}
		httpcache.AskIfChanged(request, headerOf(stored))
		require.Equal(t, headerOf(want), request)
		require.Equal(t, stored != "", httpcache.HasValidator(headerOf(stored)))
	}
}

func TestFreshenAndEndToEndLeaveTheirArgumentsAlone(t *testing.T) {
	stored := headerOf("A: 1|B: 1|Content-Length: 5|Content-Encoding: gzip")
	h := httpcache.Freshen(stored, headerOf("B: 2|B: 3|C: 1|Content-Length: 0|Content-Encoding: br"))
	require.Equal(t, headerOf("A: 1|B: 2|B: 3|C: 1|Content-Length: 5|Content-Encoding: gzip"), h)
	require.Equal(t, headerOf("A: 1|B: 1|Content-Length: 5|Content-Encoding: gzip"), stored)

	hops := headerOf("A: 1|X: 1|Connection: close, x|Keep-Alive: 1|Transfer-Encoding: chunked|Upgrade: h2c|Te: trailers")
	require.Equal(t, headerOf("A: 1"), httpcache.EndToEnd(hops))
	require.Len(t, hops, 7)

	require.Equal(t, headerOf("Cache-Control: private|Vary: *"),
		httpcache.EndToEnd(headerOf("Connection: cache-control, vary, x|Cache-Control: private|Vary: *|X: 1")))
}

func TestList(t *testing.T) {
	require.Equal(t, []string{"a", "b", "c d"}, httpcache.List([]string{" a,, b", "", "c d ,"}))
}
