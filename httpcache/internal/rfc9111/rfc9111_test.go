package rfc9111_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func after(seconds int64) rfc9111.Delta {
	return rfc9111.Delta{Given: true, For: time.Duration(seconds) * time.Second}
}

const most = 1 << 31 // seconds

func TestParse(t *testing.T) {
	type is = rfc9111.Directives
	for _, test := range []struct {
		field string
		want  is
	}{
		{"", is{}},
		{" , ,, ", is{}},
		{"immutable, frob=7", is{}},
		{"public, must-understand", is{Public: true, MustUnderstand: true}},
		{"no-store", is{NoStore: true}},
		{"No-Store=1", is{NoStore: true}},
		{"no-cache, private", is{NoCache: true, Private: true}},
		{`private="X-User", no-cache="Set-Cookie, X"`, is{NoCache: true, Private: true}},
		{"must-revalidate", is{MustRevalidate: true}},
		{"proxy-revalidate", is{ProxyRevalidate: true}},
		{"only-if-cached", is{OnlyIfCached: true}},
		{"max-age=5", is{MaxAge: after(5)}},
		{"MAX-AGE\t= \"5\" ", is{MaxAge: after(5)}},
		{"max-age=0005", is{MaxAge: after(5)}},
		{"max-age=5,s-maxage=6", is{MaxAge: after(5), SMaxAge: after(6)}},
		{"stale-while-revalidate=7, stale-if-error=8", is{StaleWhileRevalidate: after(7), StaleIfError: after(8)}},

		{"max-stale", is{MaxStale: after(most)}},
		{"max-stale=9, max-stale", is{MaxStale: after(9)}},
		{"max-stale=", is{MaxStale: after(0)}},

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
		require.Equal(t, test.want, rfc9111.Parse([]string{test.field}), "%q", test.field)
	}
	require.Equal(t, is{NoStore: true, MaxAge: after(3)}, rfc9111.Parse([]string{"max-age=5", "no-store, max-age=3"}))
	require.Equal(t, is{}, rfc9111.Parse(nil))
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
	rules := rfc9111.Rules{TTL: 7 * time.Second, Targeted: []string{"Cdn-Cache-Control"}}
	for _, test := range []struct {
		status int
		header string
		want   int64 // seconds
	}{
		{200, "", 7},
		{404, "", 7},
		{501, "", 7},
		{200, "Age: 100", 107},
		{302, "", 0},
		{500, "", 0},
		{500, "Cache-Control: public", 7},
		{302, "Cache-Control: max-age=3", 3},
		{503, "Cache-Control: max-age=3", 3},
		{200, "Cache-Control: max-age=3, s-maxage=5", 5},
		{200, "Cache-Control: s-maxage=0, max-age=3", 0},
		{200, "Cache-Control: no-cache, max-age=3", 0},

		{200, "Cache-Control: max-age=3|Expires: Sat, 01 Jan 2000 00:00:10 GMT", 3},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT", 10},
		{200, "Expires: Saturday, 01-Jan-00 00:00:10 GMT", 10},
		{200, "Expires: Sat Jan  1 00:00:10 2000", 10},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT|Date: Sat, 01 Jan 2000 00:00:02 GMT", 8},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT|Expires: Sat, 01 Jan 2000 00:00:10 GMT", 0},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 GMT|Expires: never", 0},
		{200, "Expires: Sat,  01 Jan 2000 00:00:10 GMT", 0},
		{200, "Expires: Sat, 01 Jan 2000 0:00:10 GMT", 0},
		{200, "Expires: Sat, 01 Jan 2000 00:00:10 UTC", 0},
		{200, "Expires: 0", 0},
		{200, "Expires: ", 0},
		{200, "Expires: Fri, 31 Dec 1999 00:00:00 GMT", 0},
		{200, "Expires: Fri, 31 Dec 9999 23:59:59 GMT", most},

		// A tenth of the time since Last-Modified, where nothing else is said.
		{200, "Last-Modified: Fri, 31 Dec 1999 23:58:20 GMT", 10},
		{200, "Last-Modified: Fri, 31 Dec 1999 23:58:20 GMT|Cache-Control: max-age=3", 3},
		{200, "Last-Modified: Fri, 31 Dec 1999 23:58:20 GMT|Expires: 0", 0},
		{302, "Last-Modified: Fri, 31 Dec 1999 23:58:20 GMT", 0},
		{302, "Last-Modified: Fri, 31 Dec 1999 23:58:20 GMT|Cache-Control: public", 10},
		{200, "Last-Modified: Fri, 31 Dec 1999 23:58:20 GMT|Date: Fri, 31 Dec 1999 23:59:00 GMT", 4},
		{200, "Last-Modified: Sat, 01 Jan 2000 00:58:20 GMT", 0},
		{200, "Last-Modified: yesterday", 0},
		{200, "Last-Modified: Mon, 01 Jan 1900 00:00:00 GMT", 24 * 3600},

		// A targeted field holds alone, if it is valid.
		{200, "CDN-Cache-Control: max-age=9|Cache-Control: max-age=3", 9},
		{200, "CDN-Cache-Control: max-age=1|Cache-Control: max-age=3", 1},
		{200, "CDN-Cache-Control: max-age=9|Expires: 0", 9},
		{200, "CDN-Cache-Control: frob|Expires: 0", 7},
		{200, "CDN-Cache-Control: max-age=9|CDN-Cache-Control: no-cache", 0},
		{200, "CDN-Cache-Control: max-age=\"9\"|Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: max-age=9.0|Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: max-age=9, &&|Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: max-age=9,|Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: max-age =9|Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: Max-Age=9|Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: |Cache-Control: max-age=3", 3},
		{200, "CDN-Cache-Control: max-age=-9|Cache-Control: max-age=3", 0},
		{200, "Surrogate-Control: max-age=9|Cache-Control: max-age=3", 3},
	} {
		p := rfc9111.PolicyOf(test.status, headerOf(test.header), midnight, midnight, rules)
		require.Equal(t, time.Duration(test.want)*time.Second, p.Lifetime, "%d %s", test.status, test.header)
	}
}

func TestParseTargeted(t *testing.T) {
	type is = rfc9111.Directives
	for field, want := range map[string]is{
		"no-store": {NoStore: true},
		"max-age=5;a=1;b=\"x\", s-maxage=6, frob=(1 a)": {MaxAge: after(5), SMaxAge: after(6)},
		`private="X-A, X-B", no-cache="y"`:              {Private: true, NoCache: true},
		"no-store=?0, must-revalidate=?1":               {MustRevalidate: true},
		"max-age=999999999999999":                       {MaxAge: after(most)},
		"max-age=1, max-age=7":                          {MaxAge: after(7)},
		"public,\tproxy-revalidate, must-understand":    {Public: true, ProxyRevalidate: true, MustUnderstand: true},
		`a="\"\\", b=:YQ==:, c=t/*, d=-1.25, max-age=0`: {MaxAge: after(0)},
	} {
		d, ok := rfc9111.ParseTargeted([]string{field})
		require.True(t, ok, field)
		require.Equal(t, want, d, field)
	}
	for _, field := range []string{
		"", " ", ",", "max-age=", "max-age=x", "no-store=1", "no-store=no", `a="`, `a="\x"`, "a=?2", "a=:a", "a=(1", "a=(1,2)",
		"a=1.2345", "a=1234567890123456", "a=-", "a;B", "a b", "A", "a=1;b=&", "no-store,, a", "a=\"\x80\"",
	} {
		d, ok := rfc9111.ParseTargeted([]string{field})
		require.False(t, ok, "%q", field)
		require.Zero(t, d)
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
		{"Age: 9, 5", 0, 9 * time.Second}, // the first
		{"Age: 5 , 9", 0, 5 * time.Second},
		{"Age: x", 0, most * time.Second}, // as old as can be
		{"Age: ", 0, most * time.Second},
		{"Age: -5", 0, most * time.Second},
		{"Age: 5.0", 0, most * time.Second},
		{"Age: \"5\"", 0, most * time.Second},
		{"Age: 5;a=1", 0, most * time.Second},
		{"Age: 5|Age: 5", 0, most * time.Second},
		{"Age: ,5", 0, most * time.Second},
		{"Age: 99999999999999999999", 0, most * time.Second},
		{"Date: Fri, 31 Dec 1999 23:59:50 GMT", 0, 9 * time.Second}, // a Date may leave out a second
		{"Date: Fri, 31 Dec 1999 23:59:50 GMT|Age: 20", 0, 20 * time.Second},
		{"Date: Fri, 31 Dec 1999 23:59:50 GMT", 9 * time.Second, 9 * time.Second},
		{"Date: Sat, 01 Jan 2000 01:00:00 GMT", 0, 0}, // a clock that is fast
		{"Date: Mon, 01 Jan 0001 00:00:00 GMT", 0, most * time.Second},
		{"Date: today", 0, 0},
	} {
		p := rfc9111.PolicyOf(200, headerOf(test.header), midnight.Add(-test.onWay), midnight, rfc9111.Rules{})
		require.Equal(t, test.want, p.Age, "%s after %v", test.header, test.onWay)
	}
}

func TestDate(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994",
		"SUN, 06 NOV 1994 08:49:37 GMT", "sun, 06 nov 1994 08:49:37 gmt", "Mon, 06 Nov 1994 08:49:37 GMT",
	} {
		at, ok := rfc9111.Date(s, midnight)
		require.True(t, ok, s)
		require.Equal(t, want, at, s)
	}
	for _, s := range []string{
		"", "0", "-1", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000",
		" Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun,06 Nov 1994 08:49:37 GMT",
		"Sun, 06  Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
		"Sunday, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT", "Foo, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun Nov   08:49:37 1994",
		"Sun, 06 Nov 1994 08:49:37 GMT, 06 Nov 1994", "Sunday,", "Sun",
	} {
		at, ok := rfc9111.Date(s, midnight)
		require.False(t, ok, "%q", s)
		require.Zero(t, at)
	}
	year := func(s string, now time.Time) int { at, _ := rfc9111.Date(s, now); return at.Year() }
	require.Equal(t, 2049, year("Sunday, 06-Nov-49 08:49:37 GMT", midnight))
	require.Equal(t, 1950, year("Sunday, 06-Nov-50 08:49:37 GMT", midnight), "more than 50 years ahead")
	require.Equal(t, 2050, year("Sunday, 06-Nov-50 08:49:37 GMT", midnight.AddDate(26, 0, 0)))
	leap, ok := rfc9111.Date("Sat, 31 Dec 2016 23:59:60 GMT", midnight)
	require.True(t, ok)
	require.Equal(t, time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC), leap)
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
		p := rfc9111.PolicyOf(200, headerOf("Cache-Control: "+test.says+allowed), midnight, midnight, rfc9111.Rules{})
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
		{401, "", true},
		{403, "", true},
		{429, "", true},
		{206, "", true},
		{304, "", true},
		{101, "", true},
		{500, "", false},
		{407, "Cache-Control: max-age=5", true},
		{412, "Cache-Control: max-age=5", true},
		{416, "Cache-Control: max-age=5", true},

		// Statuses that are kept if they say so.
		{401, "Cache-Control: max-age=5", false},
		{403, "Cache-Control: s-maxage=5", false},
		{403, "Cache-Control: public", false},
		{403, "Expires: 0", false},
		{429, "Cache-Control: max-age=5", false},
		{429, "CDN-Cache-Control: max-age=5", false},
		{429, "CDN-Cache-Control: max-age=5, private", true},

		// No-store is for caches that do not know must-understand.
		{200, "Cache-Control: must-understand, no-store, max-age=5", false},
		{599, "Cache-Control: must-understand, max-age=5", true},
		{599, "Cache-Control: max-age=5", false},
		{226, "Cache-Control: must-understand, max-age=5", true},

		{200, `Cache-Control: private="X-User", max-age=5`, true},
		{200, "CDN-Cache-Control: max-age=5|Cache-Control: no-store", false},
		{200, "CDN-Cache-Control: no-store|Cache-Control: max-age=5", true},
		{200, "CDN-Cache-Control: max-age=5, &|Cache-Control: no-store", true},
		{200, "CDN-Cache-Control: max-age=5|Set-Cookie: a=b", true},
	} {
		p := rfc9111.PolicyOf(test.status, headerOf(test.header), midnight, midnight, rfc9111.Rules{Targeted: []string{"Cdn-Cache-Control"}})
		require.Equal(t, test.want, p.Personal, "%d %s", test.status, test.header)
	}
}

func TestForAll(t *testing.T) {
	for says, want := range map[string]bool{
		"max-age=5": false, "": false, "proxy-revalidate, max-age=5": false, "no-cache": false,
		"public": true, "s-maxage=0": true, "must-revalidate": true,
	} {
		p := rfc9111.PolicyOf(200, headerOf("Cache-Control: "+says), midnight, midnight, rfc9111.Rules{})
		require.Equal(t, want, p.ForAll, says)
	}
}

func TestIsAbout(t *testing.T) {
	stored := headerOf("ETag: \"a\"|Last-Modified: x")
	for update, want := range map[string]bool{
		"": true, `ETag: "a"`: true, `ETag: W/"a"`: true, `ETag: "a"|Last-Modified: y`: true, "Last-Modified: x": true,
		`ETag: "b"`: false, `ETag: "b"|Last-Modified: x`: false, "Last-Modified: y": false,
	} {
		require.Equal(t, want, rfc9111.IsAbout(headerOf(update), stored), update)
	}
	require.False(t, rfc9111.IsAbout(headerOf(`ETag: "a"`), http.Header{}))
	require.True(t, rfc9111.IsAbout(headerOf("Last-Modified: x"), http.Header{}))
}

func TestSameVersion(t *testing.T) {
	stored := headerOf(`ETag: "a"|Last-Modified: x`)
	for head, want := range map[string]bool{
		"": true, `ETag: "a"`: true, `ETag: "a"|Last-Modified: x|Content-Length: 5`: true, "Content-Length: 5": true,
		`ETag: "b"`: false, "Last-Modified: y": false, `ETag: "a"|Last-Modified: y`: false, "Content-Length: 6": false,
	} {
		require.Equal(t, want, rfc9111.SameVersion(headerOf(head), stored, 5), head)
	}
	require.False(t, rfc9111.SameVersion(headerOf(`ETag: "a"`), http.Header{}, 5))
	require.False(t, rfc9111.SameVersion(headerOf("Content-Length: 5"), stored, -1))
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
		require.Equal(t, test.want, rfc9111.NotModified(headerOf(test.request), stored, midnight), test.request)
	}
	require.False(t, rfc9111.NotModified(headerOf(`If-None-Match: ""`), http.Header{}, midnight))
	since := headerOf("If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT")
	require.False(t, rfc9111.NotModified(since, http.Header{}, midnight))
	require.True(t, rfc9111.NotModified(since, headerOf("Date: Sat, 01 Jan 2000 00:00:00 GMT"), midnight))
	require.False(t, rfc9111.NotModified(since, headerOf("Date: Sat, 01 Jan 2000 00:00:01 GMT"), midnight))
	require.False(t, rfc9111.NotModified(since, headerOf("Date: Sat, 01 Jan 2000 00:00:00 GMT|Last-Modified: x"), midnight))
}

func TestAskIfChanged(t *testing.T) {
	for stored, want := range map[string]string{
		"":                           "",
		`ETag: "a"`:                  `If-None-Match: "a"`,
		`ETag: "a"|Last-Modified: x`: `If-None-Match: "a"|If-Modified-Since: x`,
		"Last-Modified: x":           "If-Modified-Since: x",
	} {
		request := http.Header{}
		rfc9111.AskIfChanged(request, headerOf(stored))
		require.Equal(t, headerOf(want), request)
		require.Equal(t, stored != "", rfc9111.HasValidator(headerOf(stored)))
	}
}

func TestFreshenAndEndToEndLeaveTheirArgumentsAlone(t *testing.T) {
	stored := headerOf("A: 1|B: 1|Content-Length: 5|Content-Encoding: gzip")
	h := rfc9111.Freshen(stored, headerOf("B: 2|B: 3|C: 1|Content-Length: 0|Content-Encoding: br"))
	require.Equal(t, headerOf("A: 1|B: 2|B: 3|C: 1|Content-Length: 5|Content-Encoding: gzip"), h)
	require.Equal(t, headerOf("A: 1|B: 1|Content-Length: 5|Content-Encoding: gzip"), stored)

	hops := headerOf("A: 1|X: 1|Connection: close, x|Keep-Alive: 1|Transfer-Encoding: chunked|Upgrade: h2c|Te: trailers")
	require.Equal(t, headerOf("A: 1"), rfc9111.EndToEnd(hops))
	require.Len(t, hops, 7)

	require.Equal(t, headerOf("Cache-Control: private|Vary: *"),
		rfc9111.EndToEnd(headerOf("Connection: cache-control, vary, x|Cache-Control: private|Vary: *|X: 1")))
}

func TestList(t *testing.T) {
	require.Equal(t, []string{"a", "b", "c d"}, rfc9111.List([]string{" a,, b", "", "c d ,"}))
}

func TestDirectivesAreListedAsRead(t *testing.T) {
	const all = "no-store, private, no-cache, public, must-understand, must-revalidate, proxy-revalidate, " +
		"s-maxage=1, max-age=2, stale-while-revalidate=3, stale-if-error=4"
	d := rfc9111.Parse([]string{all})
	require.Equal(t, strings.Split(all, ", "), d.List())
	d = rfc9111.Parse([]string{`max-age=7, max-age="5", s-maxage=x, frob=1`})
	require.Equal(t, []string{"s-maxage=0", "max-age=5"}, d.List())
}
