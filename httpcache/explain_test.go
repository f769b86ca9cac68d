package httpcache

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func newCache(t *testing.T, o *Options) *Cache {
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// answer returns a response with header lines like "Age: 5", which has just come.
func answer(status int, lines ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, ContentLength: 4}
	addLines(res.Header, lines...)
	return res
}

func TestExplanationOfAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, &Options{TTL: time.Minute, MaxObject: 1 << 20, KeyCookies: []string{"lang"}, IgnoreSetCookies: []string{"ad*"}})
		now := time.Now().UTC()
		at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
		for _, test := range []struct {
			status   int
			response string // header lines
			request  string
			rule     string
			fresh    time.Duration
			unshared string
			dropped  string
			means    string // among the rest
		}{
			{200, "Cache-Control: max-age=60, s-maxage=70|Age: 10", "", "s-maxage", time.Minute, "", "", "max-age=60 ignored for s-maxage"},
			{200, "Cache-Control: max-age=60|Expires: 0", "", "max-age", time.Minute, "", "", "0 ignored for max-age"},
			{200, "Cache-Control: max-age=x", "", "max-age", 0, "", "not fresh, and of no use when stale", "max-age=0 fresh until this age"},
			{200, "Expires: " + at(time.Hour), "", "Expires", time.Hour, "", "", "fresh until then"},
			{200, "Expires: 0|Etag: x", "", "Expires", 0, "", "", "x to ask whether it still holds"},
			{200, "Last-Modified: " + at(-time.Hour), "", "Last-Modified", 6 * time.Minute, "", "", "fresh for a tenth of its age"},
			{200, "", "", "TTL", time.Minute, "", "", ""},
			{201, "", "", "", 0, "", "not fresh, and of no use when stale", ""},
			{200, "Cache-Control: no-cache, max-age=9|Etag: x", "", "no-cache", 0, "", "", "max-age=9 ignored for no-cache"},
			{200, "Cache-Control: max-age=9, stale-if-error=9, must-revalidate", "", "max-age", 9 * time.Second, "", "", "stale-if-error=9 ignored: not used stale"},
			{200, "Cache-Control: max-age=9, stale-while-revalidate=9", "", "max-age", 9 * time.Second, "", "", "used stale while asking"},
			{200, "Cache-Control: no-store, max-age=9", "", "max-age", 9 * time.Second, "no-store", "not shared", "no-store not shared, not kept"},
			{200, "Cache-Control: private, no-store", "", "TTL", time.Minute, "private", "not shared", "no-store not shared, not kept"},
			{200, "Cache-Control: no-store, must-understand, max-age=9", "", "max-age", 9 * time.Second, "", "", "no-store ignored for must-understand"},
			{299, "Cache-Control: must-understand, max-age=9", "", "max-age", 9 * time.Second, "must-understand", "not shared", ""},
			{200, "Cdn-Cache-Control: max-age=5|Cache-Control: no-store|Expires: 0", "", "max-age", 5 * time.Second, "", "", "no-store ignored for Cdn-Cache-Control"},
			{200, "Cdn-Cache-Control: &|Cache-Control: max-age=5", "", "max-age", 5 * time.Second, "", "", "& ignored: broken"},
			{200, "Set-Cookie: id=secret", "", "TTL", time.Minute, "Set-Cookie", "not shared", "id not shared, not kept"},
			{200, "Set-Cookie: ad1=secret", "", "TTL", time.Minute, "", "", "ad1 removed: IgnoreSetCookies"},
			{200, "Vary: *", "", "TTL", time.Minute, "Vary", "not shared", "* not shared, not kept"},
			{200, "Vary: Accept", "", "TTL", time.Minute, "", "", "Accept kept for each value of these"},
			{206, "", "", "", 0, "status 206", "not shared", ""},
			{304, "", "If-None-Match: x", "", 0, "status 304", "not shared", ""},
			{403, "", "", "", 0, "status 403", "not shared", ""},
			{403, "Cache-Control: max-age=5", "", "max-age", 5 * time.Second, "", "", ""},
			{500, "", "", "", 0, "", "a failure of the origin", ""},
			{200, "", "Authorization: a", "TTL", time.Minute, "Authorization", "not shared", ""},
			{200, "Cache-Control: public", "Authorization: a", "TTL", time.Minute, "", "", "kept whatever its status"},
			{200, "", "Cookie: a=b", "TTL", time.Minute, "Cookie of the request", "not shared", ""},
			{200, "", "Cookie: lang=b", "TTL", time.Minute, "", "", ""},
			{200, "", "Range: bytes=1-", "TTL", time.Minute, "Range of the request", "not shared", ""},
			{200, "", "Cache-Control: no-store", "TTL", time.Minute, "no-store of the request", "not shared", ""},
			{200, "", "X-Rewrite-Url: /", "TTL", time.Minute, "method or URL override of the request", "not shared", ""},
		} {
			req := newRequest(t.Context(), "GET", "/page?q=1", strings.Split(test.request, "|")...)
			x := c.Explain(req, answer(test.status, strings.Split(test.response, "|")...), time.Time{})
			require.Equal(t, test.rule, x.Rule, "%+v", test)
			require.Equal(t, test.fresh, x.Fresh, "%+v", test)
			require.Equal(t, test.unshared, x.NotShared, "%+v", test)
			require.Equal(t, test.unshared == "", x.Shared, "%+v", test)
			require.Equal(t, test.dropped, x.NotKept, "%+v", test)
			require.Equal(t, test.dropped == "", x.Kept > 0, "%+v", test)
			require.Contains(t, strings.Join(strings.Fields(x.String()), " "), test.means)
			require.NotContains(t, x.String(), "secret")
			for line := range strings.Lines(x.String()) {
				require.LessOrEqual(t, len(line), 81, line)
			}
		}
	})
}

func TestExplanationNamesTheKey(t *testing.T) {
	c := newCache(t, &Options{KeyCookies: []string{"lang"}})
	r, err := http.NewRequest("HEAD", "https://Example.test/page?q=1", nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", "lang=de")
	res := answer(200, "Vary: Accept, X-Y", "Content-Encoding: gzip", "Cache-Control: max-age=5")
	res.ContentLength = 1 << 40
	x := c.Explain(r, res, time.Time{})
	require.Equal(t, []string{"HEAD", "https", "example.test", "/page?q=1"}, []string{x.Method, x.Scheme, x.Host, x.URI})
	require.Equal(t, []string{"Accept", "Accept-Encoding", "X-Y"}, x.Vary)
	require.Equal(t, []string{"lang"}, x.Cookies)
	require.Empty(t, x.NotKept, "HEAD brings no body")
	r.Method = "GET"
	require.Equal(t, "larger than MaxObject", c.Explain(r, res, time.Time{}).NotKept)
	r.Method = "POST"
	require.Equal(t, "method POST of the request", c.Explain(r, res, time.Time{}).NotShared)
}

func TestTimeOnTheWayIsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, nil)
		asked := time.Now()
		time.Sleep(2 * time.Second)
		x := c.Explain(newRequest(t.Context(), "GET", "/"), answer(200, "Cache-Control: max-age=5"), asked)
		require.Equal(t, 2*time.Second, x.Age)
		require.Equal(t, 3*time.Second, x.Fresh)
	})
}

// Time passes while a response is explained; it says nothing about that.
func TestWhatSaysNothingIsNotFreshForAMoment(t *testing.T) {
	c := newCache(t, nil)
	for _, line := range []string{"", "Cache-Control: max-age=0", "Expires: 0", "Cache-Control: no-cache"} {
		x := c.Explain(newRequest(t.Context(), "GET", "/"), answer(200, line), time.Time{})
		require.Zero(t, x.Fresh, line)
		require.Zero(t, x.Kept, line)
		require.Contains(t, x.String(), "no: not fresh, and of no use when stale", line)
	}
	require.Equal(t, time.Minute, c.Explain(newRequest(t.Context(), "GET", "/"), answer(200, "Cache-Control: max-age=60"), time.Time{}).Fresh)
}

func TestPrivateCacheExplainsWhatItIgnores(t *testing.T) {
	c := newCache(t, &Options{Private: true})
	x := c.Explain(newRequest(t.Context(), "GET", "/"), answer(200, "Set-Cookie: a=b", "Cdn-Cache-Control: no-store",
		"Cache-Control: private, s-maxage=1, max-age=5, proxy-revalidate"), time.Time{})
	require.True(t, x.Shared)
	var means []string
	for _, s := range x.Details {
		means = append(means, s.Means)
	}
	require.Equal(t, []string{"ignored: one user's cache", forOthers, forOthers, "fresh until this age", forOthers, "kept: one user's cache"}, means)
}

// A told transport explains what the cache is about to get.
type told struct {
	http.RoundTripper
	cache *Cache
	last  Explanation
	asks  int
	asked *http.Request
}

func (t *told) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	res, err := t.RoundTripper.RoundTrip(r)
	if t.asks++; err == nil && t.asks == 1 {
		t.last = t.cache.Explain(r, res, asked)
	}
	t.asked = r
	return res, err
}

// What Explain says of random responses is what a proxy does.
func TestExplanationIsWhatAProxyDoes(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		status, lines := randomHeader(rnd)
		requireExplained(t, status, lines)
	}
}

func requireExplained(t *testing.T, status int, lines []string) {
	const moment = time.Millisecond
	probe := func(after func(x Explanation) time.Duration, broken bool) (x Explanation, got reply, asks int, asked *http.Request) {
		synctest.Test(t, func(t *testing.T) { // its clock begins anew
			x, got, asks, asked = explainedThenAsked(t, status, lines, after, broken)
		})
		return x, got, asks, asked
	}
	x, got, asks, _ := probe(func(Explanation) time.Duration { return 0 }, false)
	what := fmt.Sprintf("%d %q:\n%v", status, lines, x)
	require.Equal(t, x.Fresh > 0 && x.Kept > 0, asks == 1 && got.cache() == "hit", what)
	if !x.Shared {
		require.Equal(t, 2, asks, what)
		require.Equal(t, status < 500, got.cache() == "passed", "%s: a failure does not make a URL uncacheable", what)
		return
	}
	require.NotEqual(t, "passed", got.cache(), what)
	if x.Kept == 0 {
		return
	}
	if x.Fresh > moment {
		_, got, asks, _ = probe(func(x Explanation) time.Duration { return x.Fresh - moment }, false)
		require.Equal(t, 1, asks, "it is fresh: %s", what)
		require.Equal(t, "hit", got.cache(), what)
	}
	_, got, asks, asked := probe(func(x Explanation) time.Duration { return x.Fresh + moment }, false)
	require.Equal(t, 2, asks, "it is stale: %s", what)
	require.Equal(t, x.StaleWhileRevalidate > moment, got.cache() == "stale", what)
	require.Equal(t, x.Validated, isConditional(asked), what)

	_, got, _, _ = probe(func(x Explanation) time.Duration { return x.Fresh + x.StaleWhileRevalidate + moment }, true)
	require.Equal(t, x.StaleIfError > x.StaleWhileRevalidate+moment, got.status == status, "a failure: %s", what)

	_, _, asks, asked = probe(func(x Explanation) time.Duration { return x.Kept + moment }, false)
	require.Equal(t, 2, asks, what)
	require.False(t, isConditional(asked), "it is not kept any more: %s", what)
}

// explainedThenAsked asks a proxy of its own for a page, and once more after a while,
// perhaps of an origin that fails then. It returns what was said of the first response,
// the second answer, and what the origin was asked for.
func explainedThenAsked(t *testing.T, status int, lines []string, after func(Explanation) time.Duration, broken bool) (Explanation, reply, int, *http.Request) {
	cache, err := New(&Options{TTL: 7 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer cache.Close()
	second, fails := false, false
	origin := &told{cache: cache, RoundTripper: viaHandler{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case fails:
			http.Error(w, "", http.StatusBadGateway)
			return
		case second:
			return
		}
		addLines(w.Header(), lines...)
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			io.WriteString(w, "page")
		}
	})}}
	s := &site{front: cache.Proxy(&url.URL{Scheme: "http", Host: "origin.test"}, &ProxyOptions{Transport: origin}).(*front)}
	s.request("GET", "/")
	synctest.Wait() // the body is there
	time.Sleep(after(origin.last))
	second, fails = true, broken
	w := httptest.NewRecorder()
	s.writeTo(w, newRequest(t.Context(), "GET", "/"))
	synctest.Wait()
	return origin.last, reply{status: w.Code, header: w.Header()}, origin.asks, origin.asked
}

// randomHeader returns a status and header lines that matter to a cache, at the time
// at which the clock of a bubble begins.
func randomHeader(rnd *rand.Rand) (status int, lines []string) {
	some := func(chance float64, line string) {
		if rnd.Float64() < chance {
			lines = append(lines, line)
		}
	}
	date := func(d time.Duration) string {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Format(http.TimeFormat)
	}
	seconds := func() string { return strconv.Itoa(rnd.IntN(30)) }
	for _, field := range []string{"Cache-Control: ", "Cache-Control: ", "CDN-Cache-Control: "} {
		var says []string
		for _, name := range []string{"max-age=", "s-maxage=", "stale-while-revalidate=", "stale-if-error="} {
			if rnd.Float64() < .25 {
				says = append(says, name+seconds())
			}
		}
		for _, name := range []string{"no-store", "no-cache", "private", "public", "must-revalidate", "proxy-revalidate", "must-understand"} {
			if rnd.Float64() < .04 {
				says = append(says, name)
			}
		}
		some(.4, field+strings.Join(says, ", "))
	}
	some(.2, "Expires: "+date(time.Duration(rnd.IntN(60)-20)*time.Second))
	some(.2, "Age: "+seconds())
	some(.2, "Date: "+date(-time.Duration(rnd.IntN(10))*time.Second))
	some(.3, "Last-Modified: "+date(-time.Duration(rnd.IntN(1000))*time.Second))
	some(.3, `ETag: "tag"`)
	some(.2, "Vary: Accept, X-Mine")
	some(.04, "Vary: *")
	some(.05, "Set-Cookie: a=b")
	return []int{200, 200, 200, 200, 404, 403, 201, 500, 301}[rnd.IntN(9)], lines
}
