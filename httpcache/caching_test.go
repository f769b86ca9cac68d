package httpcache

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// answering is an origin that says what it is told to, counts its answers, and
// knows conditional requests.
func answering(lines ...string) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), lines...)
		tag, date := w.Header().Get("ETag"), w.Header().Get("Last-Modified")
		if tag != "" && r.Header.Get("If-None-Match") == tag || date != "" && r.Header.Get("If-Modified-Since") == date {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		n++
		fmt.Fprintf(w, "answer %d", n)
	}
}

// Each row says what an origin says, and what becomes of requests made at those
// seconds. In a bubble it is midnight, 1 January 2000.
var freshness = []struct{ says, want string }{
	{"", "0 fetched, 3599 hit, 3600 fetched"}, // the -ttl of a site
	{"Cache-Control: max-age=10", "0 fetched, 9 hit, 10 fetched, 19 hit"},
	{"Cache-Control: MAX-AGE = \"10\"", "0 fetched, 9 hit, 10 fetched"},
	{"Cache-Control: max-age=10, max-age=5", "0 fetched, 4 hit, 5 fetched"},
	{"Cache-Control: max-age=5|Cache-Control: max-age=10", "0 fetched, 4 hit, 5 fetched"},
	{"Cache-Control: max-age=10|Age: 4", "0 fetched, 5 hit, 6 fetched"},
	{"Cache-Control: max-age=10|Age: 10", "0 fetched, 0 fetched"},
	{"Cache-Control: max-age=10|Date: Fri, 31 Dec 1999 23:59:54 GMT", "0 fetched, 4 hit, 5 fetched"},
	{"Cache-Control: s-maxage=5, max-age=60", "0 fetched, 4 hit, 5 fetched"},
	{"Cache-Control: s-maxage=60, max-age=5", "0 fetched, 59 hit, 60 fetched"},
	{"Cache-Control: max-age=0", "0 fetched, 0 fetched"},
	{"Cache-Control: max-age=-1", "0 fetched, 0 fetched"},
	{"Cache-Control: max-age=soon", "0 fetched, 0 fetched"},
	{"Cache-Control: max-age=99999999999999999999", "0 fetched, 999999999 hit"},
	{"Cache-Control: no-cache", "0 fetched, 0 fetched"},
	{"Cache-Control: no-cache, max-age=10", "0 fetched, 0 fetched"},
	{"Cache-Control: no-store", "0 passed, 0 passed"},
	{"Cache-Control: private, max-age=10", "0 passed, 0 passed"},
	{"Expires: Sat, 01 Jan 2000 00:00:10 GMT", "0 fetched, 9 hit, 10 fetched"},
	{"Expires: Sat, 01 Jan 2000 00:00:10 GMT|Date: Sat, 01 Jan 2000 00:00:05 GMT", "0 fetched, 4 hit, 5 fetched"},
	{"Expires: Sat, 01 Jan 2000 00:00:10 GMT|Cache-Control: max-age=3", "0 fetched, 2 hit, 3 fetched"},
	{"Expires: Sat, 01 Jan 2000 00:00:10 GMT|Expires: 0", "0 fetched, 0 fetched"},
	{"Expires: 0", "0 fetched, 0 fetched"},

	{"Cache-Control: max-age=10, stale-while-revalidate=5", "0 fetched, 9 hit, 12 stale, 13 hit, 21 hit, 22 stale, 38 fetched"},
	{"Cache-Control: max-age=10, stale-while-revalidate=5", "0 fetched, 15 fetched"},
	{"Cache-Control: max-age=10, stale-while-revalidate=5, must-revalidate", "0 fetched, 12 fetched"},
	{"Cache-Control: max-age=10, stale-while-revalidate=5, proxy-revalidate", "0 fetched, 12 fetched"},
	{"Cache-Control: s-maxage=10, stale-while-revalidate=5", "0 fetched, 12 fetched"},
	{"Cache-Control: no-cache, stale-while-revalidate=5", "0 fetched, 1 fetched"},

	{`Cache-Control: max-age=10|ETag: "a"`, "0 fetched, 9 hit, 10 revalidated, 19 hit, 20 revalidated, 3620 revalidated"},
	{`Cache-Control: max-age=10|ETag: "a"`, "0 fetched, 3610 fetched"}, // kept for validationTime
	{"Cache-Control: max-age=10|Last-Modified: Fri, 31 Dec 1999 00:00:00 GMT", "0 fetched, 9 hit, 10 revalidated, 19 hit"},
	{`Cache-Control: no-cache|ETag: W/"a"`, "0 fetched, 0 revalidated, 5 revalidated"},
	{`Cache-Control: max-age=10, stale-while-revalidate=5|ETag: "a"`, "0 fetched, 12 stale, 13 hit, 30 revalidated"},
}

func TestFreshness(t *testing.T) {
	for _, row := range freshness {
		t.Run(row.says+" "+row.want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, answering(strings.Split(row.says, "|")...))
				for step := range strings.SplitSeq(row.want, ", ") {
					s.at(t, step)
				}
			})
		})
	}
}

// at makes a request at a second, and checks where the answer came from.
func (s *site) at(t *testing.T, step string) reply {
	t.Helper()
	var at int
	var from string
	fmt.Sscan(step, &at, &from)
	midnight := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	time.Sleep(time.Until(midnight.Add(time.Duration(at) * time.Second)))
	r := s.request("GET", "/")
	require.Equal(t, from, r.cache(), "%s, %s", step, r.body)
	require.Equal(t, 200, r.status)
	require.True(t, strings.HasPrefix(r.body, "answer "), "%q", r.body)
	synctest.Wait() // what goes on behind the users' backs
	return r
}

func TestAgeGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=100", "Age: 7"))
		require.Equal(t, "7", s.at(t, "0 fetched").header.Get("Age"))
		require.Equal(t, "57", s.at(t, "50 hit").header.Get("Age"))
	})
}

func TestUsersSayHowFreshAPageMustBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=10, stale-while-revalidate=60"))
		s.at(t, "0 fetched")
		time.Sleep(6 * time.Second)
		for _, step := range [][2]string{
			{"max-age=6", "hit"}, {"min-fresh=4", "hit"}, {"only-if-cached", "hit"},
			{"max-age=5", "fetched"}, {"min-fresh=11", "fetched"}, {"", "hit"},
		} {
			r := s.request("GET", "/", "Cache-Control: "+step[0])
			require.Equal(t, step[1], r.cache(), step[0])
		}
		time.Sleep(time.Millisecond)
		require.Equal(t, "fetched", s.request("GET", "/", "Cache-Control: max-age=0").cache())
		time.Sleep(time.Millisecond)
		require.Equal(t, "fetched", s.request("GET", "/", "Cache-Control: max-age=never").cache())
		time.Sleep(11 * time.Second)
		require.Equal(t, "fetched", s.request("GET", "/", "Cache-Control: max-age=60").cache(), "who is strict gets nothing stale")
		require.Equal(t, 504, s.request("GET", "/other", "Cache-Control: only-if-cached").status)
	})
}

func TestStaleIfError(t *testing.T) {
	for _, row := range []struct {
		says string
		at   int // seconds
		gone int // status if the origin is gone; 200: the stale page, whatever the origin's trouble
	}{
		{"max-age=10, stale-if-error=20", 29, 200},
		{"max-age=10, stale-if-error=20", 30, 502},
		{"max-age=10", 11, 502},
		{"max-age=10, stale-if-error=20, must-revalidate", 11, 504},
		{"s-maxage=10, stale-if-error=20", 11, 504},
		{"no-cache, stale-if-error=20", 1, 504},
	} {
		for _, fault := range []error{errors.New("no route"), nil} {
			synctest.Test(t, func(t *testing.T) {
				up := true
				answer := answering("Cache-Control: "+row.says, `ETag: "a"`)
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					if !up {
						http.Error(w, "out of order", http.StatusServiceUnavailable)
						return
					}
					answer(w, r)
				})
				s.at(t, "0 fetched")
				if up = false; fault != nil {
					s.failing(fault)
				}
				time.Sleep(time.Duration(row.at) * time.Second)
				r := s.request("GET", "/")
				switch {
				case row.gone == 200:
					require.Equal(t, "stale", r.cache())
					require.Equal(t, "answer 1", r.body)
					require.Equal(t, fmt.Sprint(row.at), r.header.Get("Age"))
				case fault != nil:
					require.Equal(t, row.gone, r.status)
				default:
					require.Equal(t, "out of order\n", r.body, "the origin's own error")
				}
			})
		}
	}
}

func TestRevalidationRefreshesTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"a"`)
			if r.Header.Get("If-None-Match") == `"a"` {
				addLines(w.Header(), "Cache-Control: max-age=100", "X-Version: 2", "Content-Length: 999")
				w.WriteHeader(http.StatusNotModified)
				return
			}
			addLines(w.Header(), "Cache-Control: max-age=10", "X-Version: 1", "X-Kept: yes", "Content-Length: 8")
			io.WriteString(w, "answer 1")
		})
		require.Equal(t, "1", s.at(t, "0 fetched").header.Get("X-Version"))
		for _, step := range []string{"10 revalidated", "109 hit"} {
			r := s.at(t, step)
			require.Equal(t, "2", r.header.Get("X-Version"))
			require.Equal(t, "yes", r.header.Get("X-Kept"))
			require.Equal(t, "8", r.header.Get("Content-Length"))
		}
		s.at(t, "110 revalidated")
	})
}

func TestNotModifiedAboutSomethingElseIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			n++
			addLines(w.Header(), "Cache-Control: max-age=10", fmt.Sprintf("ETag: \"%d\"", n))
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprintf(w, "answer %d", n)
		})
		s.at(t, "0 fetched")
		require.Equal(t, "answer 3", s.at(t, "10 fetched").body)
		require.Equal(t, "answer 3", s.at(t, "11 hit").body)
	})
}

func TestPageThatBecomesPrivateIsNotSharedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says := "max-age=10"
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { answering("ETag: \"a\"", "Cache-Control: "+says)(w, r) })
		s.at(t, "0 fetched")
		says = "private"
		s.at(t, "10 passed")
		s.at(t, "11 passed")
	})
}

func TestUsersOwnConditionsAreAnsweredFromTheCache(t *testing.T) {
	const modified = "Fri, 31 Dec 1999 00:00:00 GMT"
	s := newSite(t, answering("Cache-Control: max-age=1000000000", `ETag: "a"`, "Last-Modified: "+modified))
	for _, test := range []struct {
		line   string
		status int
	}{
		{`If-None-Match: "a"`, 304}, // even the first: the shared fetch is for the whole page
		{`If-None-Match: W/"a"`, 304},
		{`If-None-Match: "x", "a"`, 304},
		{`If-None-Match: *`, 304},
		{`If-None-Match: "b"`, 200},
		{`If-None-Match: a`, 200},
		{"If-Modified-Since: " + modified, 304},
		{"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", 304},
		{"If-Modified-Since: Thu, 30 Dec 1999 00:00:00 GMT", 200},
		{"If-Modified-Since: yesterday", 200},
	} {
		r := s.request("GET", "/", test.line)
		require.Equal(t, test.status, r.status, test.line)
		require.Equal(t, `"a"`, r.header.Get("ETag"))
		require.Equal(t, map[int]string{200: "answer 1", 304: ""}[test.status], r.body)
	}
	r := s.request("GET", "/", `If-None-Match: "b"`, "If-Modified-Since: "+modified)
	require.Equal(t, 200, r.status, "the date counts only without a tag")
	require.Len(t, s.asked, 1)
	require.Empty(t, (<-s.asked).Header["If-None-Match"])
}

func TestRangesAreCutOutOfAWholePage(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"a"`)
		io.WriteString(w, "0123456789")
	})
	require.Equal(t, "passed", s.request("GET", "/", "Range: bytes=2-4").cache(), "nothing is there to cut")
	s.request("GET", "/")
	r := s.request("GET", "/", "Range: bytes=2-4")
	require.Equal(t, 206, r.status)
	require.Equal(t, "hit", r.cache())
	require.Equal(t, "234", r.body)
	require.Equal(t, "bytes 2-4/10", r.header.Get("Content-Range"))
	require.Equal(t, 416, s.request("GET", "/", "Range: bytes=20-").status)
	require.Equal(t, "0123456789", s.request("GET", "/", "Range: bytes=2-4", `If-Range: "b"`).body)
	require.Len(t, s.asked, 2)
}

func TestRenewalLooksFirstWhatOthersHaveDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=10"))
		s.at(t, "0 fetched")
		key := s.keyOf("GET", newRequest(t.Context(), "GET", "/"))
		old, _ := s.pages.Peek(key)
		s.pages.keep(key, &response{status: 200, header: http.Header{}, policy: old.policy, born: time.Now(), asked: old.asked + 1, home: key})
		e, err := s.pages.renew(t.Context(), key, old)
		require.NoError(t, err)
		require.NotSame(t, old, e)
		require.Len(t, s.asked, 1)
	})
}

func TestPageWeighsWhatItsBodyWill(t *testing.T) {
	k := newStream(t, true, func(o *streamOptions) { o.announced = 5000 })
	e := &response{body: k.body}
	require.Greater(t, e.weight(), uint32(5000))
	require.Less(t, e.weight(), uint32(7000))
	k.write(8000)
	require.Greater(t, e.weight(), uint32(8000))
	k.finish(io.EOF)
	require.Greater(t, e.weight(), uint32(8000))
}

// A page that is never fresh is shared by those who came before the origin was
// asked for it, so of users who come during a fetch all share the next.
func TestPageThatIsNeverFreshIsSharedByThoseWhoCameBefore(t *testing.T) {
	for _, says := range []string{"no-cache", "max-age=0"} {
		synctest.Test(t, func(t *testing.T) {
			answer := make(chan bool)
			respond := answering("Cache-Control: " + says)
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-answer; respond(w, r) })
			first := s.later(t.Context(), "GET", "/")
			synctest.Wait()
			var others []<-chan reply
			for range 10 {
				others = append(others, s.later(t.Context(), "GET", "/"))
				synctest.Wait()
			}
			answer <- true
			require.Equal(t, "answer 1", (<-first).body)
			synctest.Wait()
			require.Len(t, s.asked, 2)
			answer <- true
			for _, got := range others {
				require.Equal(t, "answer 2", (<-got).body)
			}
			require.Len(t, s.asked, 2)
		})
	}
}

func TestRevalidationIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan bool, 1)
		respond := answering("Cache-Control: max-age=10", `ETag: "a"`)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-gate; respond(w, r) })
		gate <- true
		s.at(t, "0 fetched")
		time.Sleep(time.Minute)
		var all []<-chan reply
		for range 10 {
			all = append(all, s.later(t.Context(), "GET", "/"))
		}
		synctest.Wait()
		gate <- true
		from := map[string]int{}
		for _, got := range all {
			r := <-got
			require.Equal(t, "answer 1", r.body)
			from[r.cache()]++
		}
		require.Equal(t, map[string]int{"revalidated": 1, "coalesced": 9}, from)
		require.Len(t, s.asked, 2)
	})
}

func TestStaleWhileRevalidateAsksOnceBehindTheUsersBacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan bool, 1)
		respond := answering("Cache-Control: max-age=10, stale-while-revalidate=60")
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-gate; respond(w, r) })
		gate <- true
		s.at(t, "0 fetched")
		for at := 20; at < 24; at++ {
			require.Equal(t, "answer 1", s.at(t, fmt.Sprint(at, " stale")).body)
		}
		require.Len(t, s.asked, 2)
		require.Equal(t, 1, s.fetches.Count(), "one waits for it")
		gate <- true
		synctest.Wait()
		require.Equal(t, "answer 2", s.at(t, "29 hit").body, "its age counts from when the origin was asked")
		close(gate)
		s.at(t, "30 stale")
	})
}

func TestAllPagesTogetherAreBounded(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 10_000)) },
		func(o *Options) { o.MaxObject, o.MaxBytes = 20_000, 100_000 })
	for i := range 200 {
		require.Len(t, s.request("GET", fmt.Sprint("/", i)).body, 10_000)
	}
	require.Eventually(t, func() bool { return s.pages.Stats().Entries < 10 }, 10*time.Second, time.Millisecond)
	require.NotZero(t, s.Stats().Evicted)
	require.Eventually(t, func() bool { return s.Stats().Bytes < 100_000 }, 10*time.Second, time.Millisecond)
	require.Greater(t, s.Stats().Bytes, int64(50_000))
}
