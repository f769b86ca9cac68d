package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What the public suite of tests for HTTP caches (cache-tests.fyi) asks for, and
// what it asks whether caches do it, as facts of our own. conformance/run.sh runs
// the suite itself.

// A turn is a request, three seconds after the one before it, the origin's
// answer, should the request get there, and what comes of it.
type turn struct {
	asks string // "METHOD, Name: value|Name: value", or a part of that
	says string // "STATUS, Name: value|Name: value", or a part of that

	want string // new: the origin's answer; kept: one from before; valid: the origin was asked whether that holds
	has  string // header lines of the answer, and its status in front if that is not the origin's
}

func setup(says string) turn              { return turn{says: says, want: "new"} }
func again(want string) turn              { return turn{want: want} }
func asking(asks, want string) turn       { return turn{asks: asks, want: want} }
func saying(says, want, has string) turn  { return turn{says: says, want: want, has: has} }
func (t turn) after(asks string) (u turn) { t.asks = asks; return t }
func cut(s string) (first, rest string)   { first, rest, _ = strings.Cut(s, ", "); return first, rest }
func isFirst(s, chars string) bool {
	return s != "" && strings.Contains(chars, s[:1]) && !strings.Contains(s, ": ")
}
func lead(s, chars string) (string, string) {
	first, rest := cut(s)
	if isFirst(first, chars) {
		return first, rest
	}
	return "", s
}

// facts are stories that begin with an empty cache.
var facts = []struct {
	name  string
	turns []turn
}{
	// Freshness.
	{"nothing is said", []turn{setup(""), again("new")}},
	{"max-age", []turn{setup("Cache-Control: max-age=3600"), again("kept")}},
	{"max-age is over", []turn{setup("Cache-Control: max-age=2"), again("new")}},
	{"max-age is 0", []turn{setup("Cache-Control: max-age=0"), again("new")}},
	{"max-age does not fit into 32 bits", []turn{setup("Cache-Control: max-age=99999999999"), again("kept")}},
	{"max-age with zeros in front", []turn{setup("Cache-Control: max-age=003600"), again("kept")}},
	{"max-age in single quotes", []turn{setup("Cache-Control: max-age='3600'"), again("new")}},
	{"max-age in the value of another", []turn{setup(`Cache-Control: a="max-age=3600", max-age=1`), again("new")}},
	{"max-age and a past Expires", []turn{setup("Cache-Control: max-age=3600|Expires: Fri, 31 Dec 1999 22:00:00 GMT"), again("kept")}},
	{"max-age 0 and a future Expires", []turn{setup("Cache-Control: max-age=0|Expires: Sat, 01 Jan 2000 22:00:00 GMT"), again("new")}},
	{"max-age less than Age", []turn{setup("Cache-Control: max-age=3600|Age: 7200"), again("new")}},
	{"max-age and an extension", []turn{setup("Cache-Control: foobar, max-age=3600"), again("kept")}},
	{"max-age in capitals", []turn{setup("Cache-Control: MaX-aGe=3600"), again("kept")}},
	{"s-maxage", []turn{setup("Cache-Control: s-maxage=3600"), again("kept")}},
	{"s-maxage before a longer max-age", []turn{setup("Cache-Control: max-age=3600|Cache-Control: s-maxage=1"), again("new")}},
	{"s-maxage before a shorter max-age", []turn{setup("Cache-Control: max-age=0, s-maxage=3600|Expires: 0"), again("kept")}},
	{"Expires", []turn{setup("Expires: Sat, 01 Jan 2000 00:30:00 GMT"), again("kept")}},
	{"Expires is Date", []turn{setup("Expires: Sat, 01 Jan 2000 00:00:10 GMT|Date: Sat, 01 Jan 2000 00:00:10 GMT"), again("new")}},
	{"Expires without a date", []turn{setup("Expires: 0"), again("new")}},
	{"Expires and a higher Age", []turn{setup("Expires: Sat, 01 Jan 2000 00:30:00 GMT|Age: 25000"), again("new")}},
	{"Last-Modified", []turn{setup("Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"), again("kept")}},
	{"Last-Modified of a redirect", []turn{setup("302, Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"), again("new")}},
	{"Last-Modified of a public redirect", []turn{setup("302, Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT|Cache-Control: public"), again("kept")}},
	{"Last-Modified of a refusal", []turn{setup("403, Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"), again("new")}},
	{"Last-Modified of an error", []turn{setup("502, Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"), again("new")}},
	{"Last-Modified of a 501 (Not Implemented)", []turn{setup("501, Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"), again("kept")}},
	{"a status that nobody knows", []turn{setup("599, Cache-Control: max-age=3600"), again("kept")}},
	{"a status that nobody knows, to be understood", []turn{setup("599, Cache-Control: max-age=3600, must-understand"), again("new")}},
	{"an error that holds for a while", []turn{setup("503, Cache-Control: max-age=3600"), again("kept")}},
	{"an error that is stale", []turn{setup("503, Expires: 0"), again("new")}},

	// Age.
	{"Age is no number", []turn{setup("Cache-Control: max-age=3600|Age: abc"), again("new")}},
	{"Age is negative", []turn{setup("Cache-Control: max-age=3600|Age: -7200"), again("new")}},
	{"Age is old, and new", []turn{setup("Cache-Control: max-age=3600|Age: 7200, 0"), again("new")}},
	{"Age is new, and old", []turn{setup("Cache-Control: max-age=3600|Age: 0, 7200"), again("kept")}},
	{"Age is large", []turn{setup("Cache-Control: max-age=3600|Age: 2147483649"), again("new")}},
	{"Age grows", []turn{setup("Cache-Control: max-age=3600|Age: 30"), {want: "kept", has: "Age: 33"}}},
	{"Date stays", []turn{setup("Cache-Control: max-age=9|Date: Fri, 31 Dec 1999 23:59:59 GMT"),
		{want: "kept", has: "Date: Fri, 31 Dec 1999 23:59:59 GMT"}}},

	// A targeted field: CDN-Cache-Control.
	{"targeted", []turn{setup("CDN-Cache-Control: max-age=3600"), again("kept")}},
	{"targeted and large", []turn{setup("CDN-Cache-Control: max-age=99999999999"), again("kept")}},
	{"targeted and less than Age", []turn{setup("CDN-Cache-Control: max-age=3600|Age: 7200"), again("new")}},
	{"targeted and 0", []turn{setup("CDN-Cache-Control: max-age=0|Expires: Sat, 01 Jan 2000 22:00:00 GMT"), again("new")}},
	{"targeted with an extension", []turn{setup("CDN-Cache-Control: foobar, max-age=3600|Expires: 0"), again("kept")}},
	{"targeted and longer", []turn{setup("CDN-Cache-Control: max-age=3600|Cache-Control: max-age=1"), again("kept")}},
	{"targeted and shorter", []turn{setup("CDN-Cache-Control: max-age=1|Cache-Control: max-age=3600"), again("new")}},
	{"targeted private", []turn{setup("CDN-Cache-Control: private|Cache-Control: max-age=3600"), again("new")}},
	{"targeted no-cache", []turn{setup("CDN-Cache-Control: no-cache|Cache-Control: max-age=3600"), again("new")}},
	{"targeted no-store", []turn{setup("CDN-Cache-Control: no-store|Cache-Control: max-age=3600"), again("new")}},
	{"targeted, others must not store", []turn{setup("CDN-Cache-Control: max-age=3600|Cache-Control: no-store"), again("kept")}},
	{"targeted and broken", []turn{setup("CDN-Cache-Control: max-age=3600, &&&&&|Cache-Control: no-store"), again("new")}},
	{"targeted and of the wrong type", []turn{setup(`CDN-Cache-Control: max-age="3600"|Cache-Control: no-store`), again("new")}},
	{"targeted with a space before =", []turn{setup("CDN-Cache-Control: max-age =3600|Cache-Control: max-age=1"), again("new")}},
	{"targeted is passed on", []turn{{says: "CDN-Cache-Control: foo", want: "new", has: "Cdn-Cache-Control: foo"}}},

	// What is not to be stored, or not to be used.
	{"no-store", []turn{setup("Cache-Control: No-StOrE, max-age=3600"), again("new")}},
	{"private", []turn{setup("Cache-Control: private, max-age=3600"), again("new")}},
	{"no-cache", []turn{setup(`Cache-Control: no-cache, max-age=3600|ETag: "a"`), again("valid")}},
	{"must-revalidate", []turn{setup(`Cache-Control: max-age=5, must-revalidate|ETag: "a"`),
		saying(`Cache-Control: max-age=5, must-revalidate|ETag: "a"`, "kept", ""), again("valid")}},
	{"no-cache of a field", []turn{setup(`Cache-Control: no-cache="a", max-age=3600|A: 1`), again("new")}},
	{"credentials", []turn{setup("Cache-Control: max-age=3600").after("Authorization: x"), again("new")}},
	{"credentials, for all", []turn{setup("Cache-Control: max-age=3600, public").after("Authorization: x"), again("kept")}},

	// What a user wants.
	{"max-age of a user", []turn{setup("Cache-Control: max-age=3600"), asking("Cache-Control: max-age=1", "new")}},
	{"max-age of a user and Age", []turn{setup("Cache-Control: max-age=3600|Age: 1800"), asking("Cache-Control: max-age=600", "new")}},
	{"min-fresh", []turn{setup("Cache-Control: max-age=1500|Age: 1000"), asking("Cache-Control: min-fresh=1000", "new")}},
	{"no-cache of a user", []turn{setup(`Cache-Control: max-age=3600|ETag: "a"`), asking("Cache-Control: no-cache", "valid")}},
	{"max-stale", []turn{setup(`Cache-Control: max-age=1|ETag: "a"`), asking("Cache-Control: max-stale=1000", "kept")}},
	{"max-stale without a limit", []turn{setup(`Cache-Control: max-age=1|ETag: "a"`), asking("Cache-Control: max-stale", "kept")}},
	{"max-stale is over", []turn{setup(`Cache-Control: max-age=1|ETag: "a"`), asking("Cache-Control: max-stale=1", "valid")}},
	{"max-stale of what must not", []turn{setup(`Cache-Control: max-age=1, must-revalidate|ETag: "a"`), asking("Cache-Control: max-stale=1000", "valid")}},
	{"max-stale and max-age", []turn{setup(`Cache-Control: max-age=1|ETag: "a"`), asking("Cache-Control: max-stale=1000, max-age=1", "valid")}},
	{"only-if-cached", []turn{{asks: "Cache-Control: only-if-cached", want: "none", has: "504"}}},

	// Stale answers.
	{"stale-while-revalidate", []turn{setup(`Cache-Control: max-age=1, stale-while-revalidate=3600|ETag: "a"`),
		saying(`Cache-Control: max-age=3600|ETag: "b"`, "kept", `Etag: "a"`), {want: "kept", has: `Etag: "b"`}}},
	{"stale-while-revalidate is over", []turn{setup("Cache-Control: max-age=1, stale-while-revalidate=1"), again("new")}},
	{"stale-if-error", []turn{setup("Cache-Control: max-age=1, stale-if-error=3600"), saying("500", "kept", "200")}},
	{"stale-if-error is over", []turn{setup("Cache-Control: max-age=1, stale-if-error=1"), saying("500", "new", "500")}},
	{"stale-if-error of a user", []turn{setup(`Cache-Control: max-age=1|ETag: "a"`),
		saying("500", "kept", "200").after("Cache-Control: stale-if-error=3600")}},
	{"stale-if-error of a user is over", []turn{setup(`Cache-Control: max-age=1|ETag: "a"`),
		saying("500", "new", "500").after("Cache-Control: stale-if-error=1")}},
	{"stale-if-error of a user, and must not", []turn{setup(`Cache-Control: max-age=1, must-revalidate|ETag: "a"`),
		saying("500", "new", "500").after("Cache-Control: stale-if-error=3600")}},

	// Conditions.
	{"the same tag", []turn{setup(`Cache-Control: max-age=3600|ETag: "a"`),
		{asks: `If-None-Match: "x", "a"`, want: "kept", has: `304, Etag: "a"`}}},
	{"the same weak tag", []turn{setup(`Cache-Control: max-age=3600|ETag: W/"a"`), {asks: `If-None-Match: "a"`, want: "kept", has: "304"}}},
	{"a tag before a date", []turn{setup(`Cache-Control: max-age=9|ETag: "a"|Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT`),
		{asks: `If-None-Match: "b"|If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT`, want: "kept", has: "200"}}},
	{"a later date", []turn{setup("Cache-Control: max-age=3600|Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"),
		{asks: "If-Modified-Since: Friday, 31-Dec-99 01:00:00 GMT", want: "kept", has: "304"}}},
	{"stale, with a tag", []turn{setup(`Cache-Control: max-age=1|ETag: W/"a"`), again("valid")}},
	{"stale, with a date", []turn{setup("Cache-Control: max-age=1|Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"), again("valid")}},
	{"stale for a user with a condition", []turn{setup("Cache-Control: max-age=1|Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT"),
		{asks: "If-Modified-Since: Fri, 31 Dec 1999 00:00:00 GMT", want: "valid", has: "304"}}},

	// What a 304 changes.
	{"a 304 updates", []turn{setup(`Cache-Control: max-age=2|ETag: "a"|A: 1|B: 1|Content-Type: text/plain`),
		saying(`Cache-Control: max-age=4|ETag: "a"|B: 2|Content-Type: text/html`, "valid", "200, A: 1|B: 2|Content-Type: text/html"),
		{want: "kept", has: "A: 1|B: 2|Content-Type: text/html"}}},
	{"a 304 does not update what the body is", []turn{
		setup(`Cache-Control: max-age=2|ETag: "a"|Content-Encoding: x|Content-Md5: x`),
		saying(`Cache-Control: max-age=4|ETag: "a"|Content-Encoding: y|Content-Md5: y|Content-Length: 999`, "valid",
			"200, Content-Encoding: x|Content-Md5: x|Content-Length: 8"),
		{want: "kept", has: "Content-Encoding: x|Content-Md5: x|Content-Length: 8"}}},

	// What HEAD changes.
	{"HEAD updates", []turn{setup(`Cache-Control: max-age=2|ETag: "a"|A: 1|B: 1`),
		saying(`Cache-Control: max-age=100|ETag: "a"|B: 2`, "new", "A: 1|B: 2").after("HEAD"), {want: "kept", has: "A: 1|B: 2"}}},
	{"HEAD updates the time", []turn{setup(`Cache-Control: max-age=5|Age: 2|ETag: "a"`),
		saying(`ETag: "a"`, "new", "Cache-Control: max-age=5").after("HEAD"), again("kept"), again("valid")}},
	{"HEAD of another version", []turn{setup(`Cache-Control: max-age=2|ETag: "a"|A: 1`),
		saying(`Cache-Control: max-age=100|ETag: "b"`, "new", "A: ").after("HEAD"), again("valid")}},
	{"HEAD of another length", []turn{setup(`Cache-Control: max-age=2|ETag: "a"|A: 1`),
		saying("Cache-Control: max-age=100|Content-Length: 9", "new", "A: ").after("HEAD"), again("valid")}},
	{"HEAD of a page that is gone", []turn{setup(`Cache-Control: max-age=2|ETag: "a"`),
		saying("410, Cache-Control: max-age=100", "new", "410").after("HEAD"), again("valid")}},

	// Writes.
	{"a write", []turn{setup("Cache-Control: max-age=3600"), {asks: "POST", want: "new"}, again("new")}},
	{"a strange write", []turn{setup("Cache-Control: max-age=3600"), {asks: "M-SEARCH", want: "new"}, again("new")}},
	{"a write that failed", []turn{setup("Cache-Control: max-age=3600"), saying("500", "new", "500").after("POST"), again("kept")}},

	// Fields.
	{"fields of a connection", []turn{{says: "Cache-Control: max-age=3600|Connection: a, b|A: 1|B: 2|C: 3", want: "new", has: "C: 3"},
		{want: "kept", has: "C: 3|A: |B: |Connection: "}}},
	{"fields for a proxy", []turn{{says: "Cache-Control: max-age=9|Proxy-Authenticate: x|Proxy-Authentication-Info: x", want: "new"},
		{want: "kept", has: "Proxy-Authenticate: |Proxy-Authentication-Info: "}}},
	{"Vary: *", []turn{setup("Cache-Control: max-age=3600|Vary: a, *"), again("new")}},
	{"Pragma of an answer", []turn{setup("Cache-Control: max-age=3600|Pragma: no-cache"), again("kept")}},
	{"Pragma that is none", []turn{setup("Cache-Control: max-age=3600"), asking("Pragma: foo", "kept")}},
}

func TestFactsOfTheConformanceSuite(t *testing.T) {
	for _, fact := range facts {
		t.Run(fact.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, fact.turns) })
		})
	}
}

// play makes the requests. The origin knows by Req-Num which answer is due, and
// compares conditions with the answer before, which is the one that was kept.
func play(t *testing.T, turns []turn) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.Header.Get("Req-Num"))
		status, lines := lead(turns[i].says, "12345")
		addLines(w.Header(), strings.Split(lines, "|")...)
		w.Header().Set("X-Answer", fmt.Sprint(i))
		code, _ := strconv.Atoi(status)
		if turns[i].want == "valid" && isAsked(r.Header) {
			code = http.StatusNotModified
			w.Header().Del("X-Answer")
		}
		if code != 0 {
			w.WriteHeader(code)
		}
		if code != http.StatusNotModified && r.Method != http.MethodHead {
			io.WriteString(w, "answer "+fmt.Sprint(i))
		}
	}, func(o *Options) { o.TTL = 0 })
	for i, turn := range turns {
		for len(s.asked) > 0 {
			<-s.asked
		}
		method, lines := lead(turn.asks, "GHPM")
		if method == "" {
			method = http.MethodGet
		}
		r := s.request(method, "/", append(strings.Split(lines, "|"), fmt.Sprint("Req-Num: ", i))...)
		synctest.Wait()
		turn.check(t, s, r, i)
		time.Sleep(3 * time.Second)
	}
}

func isAsked(h http.Header) bool { return h.Get("If-None-Match")+h.Get("If-Modified-Since") != "" }

func (u turn) check(t *testing.T, s *site, r reply, i int) {
	t.Helper()
	answer := r.header.Get("X-Answer")
	switch u.want {
	case "new":
		require.Len(t, s.asked, 1, "turn %d", i)
		require.Equal(t, fmt.Sprint(i), answer, "turn %d", i)
	case "kept":
		require.NotEqual(t, fmt.Sprint(i), answer, "turn %d", i)
		require.NotEmpty(t, answer)
	case "valid":
		require.Len(t, s.asked, 1, "turn %d", i)
		require.True(t, isAsked((<-s.asked).Header), "turn %d", i)
		require.NotEqual(t, fmt.Sprint(i), answer)
	default:
		require.Empty(t, answer)
	}
	status, lines := lead(u.has, "12345")
	if status != "" {
		require.Equal(t, status, fmt.Sprint(r.status), "turn %d", i)
	}
	for line := range strings.SplitSeq(lines, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			require.Equal(t, value, r.header.Get(name), "turn %d: %s", i, name)
		}
	}
}
