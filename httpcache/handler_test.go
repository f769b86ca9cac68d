package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

func TestPageIsServedWholeAndThenFromTheCache(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Connection", "X-Secret")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("X-Secret", "for the next hop only")
		w.Header().Set("X-Cache", "of a cache further up")
		io.WriteString(w, r.URL.RequestURI())
	})
	for _, from := range []string{"fetched", "hit"} {
		r := s.request("GET", "/a%2Fb?q=1")
		require.Equal(t, from, r.cache())
		require.Equal(t, "/base/a%2Fb?q=1", r.body)
		require.Equal(t, "text/plain", r.header.Get("Content-Type"))
		require.Equal(t, "0", r.header.Get("Age"))
		require.NotEmpty(t, r.header.Get("Date"))
		for _, name := range []string{"X-Secret", "Connection", "Keep-Alive"} {
			require.Empty(t, r.header[name])
		}
	}
	require.Len(t, s.asked, 1)
}

func TestHeadIsSharedAndHasNoBody(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "12345678") })
	for _, from := range []string{"fetched", "hit"} {
		r := s.request("HEAD", "/")
		require.Equal(t, from, r.cache())
		require.Equal(t, "12345678", r.header.Get("Content-Length"))
		require.Empty(t, r.body)
	}
	require.Equal(t, "HEAD", (<-s.asked).Method)
	require.Empty(t, s.asked)
}

func TestHeadIsAnsweredByThePageOfGet(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "four") })
	s.request("GET", "/")
	r := s.request("HEAD", "/")
	require.Equal(t, "hit", r.cache())
	require.Equal(t, "4", r.header.Get("Content-Length"))
	require.Empty(t, r.body)
	require.Len(t, s.asked, 1)
}

func TestSharedFetchHasTheEndToEndHeaderOfItsLeader(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
	r := s.request("GET", "/", "X-User: alice", "X-User: and bob", "Pragma-Like: foo", "User-Agent: alice's", "Cache-Control: max-age=5",
		"Connection: X-Hop", "X-Hop: 1", "Keep-Alive: 1", "Te: trailers", "If-None-Match: \"a\"", "If-Modified-Since: x", "If-Range: x")
	require.Equal(t, "fetched", r.cache())
	require.Equal(t, http.Header{
		"X-User": {"alice", "and bob"}, "Pragma-Like": {"foo"}, "User-Agent": {"alice's"}, "Cache-Control": {"max-age=5"},
		"Accept-Encoding": {"identity"},
	}, withoutForwarding((<-s.asked).Header))
	s.request("GET", "/nobody")
	require.Equal(t, http.Header{"Accept-Encoding": {"identity"}, "User-Agent": {""}}, withoutForwarding((<-s.asked).Header))
}

func TestRenewalHasTheHeaderOfWhoBroughtItAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, answering("Cache-Control: max-age=10, stale-while-revalidate=60", `ETag: "a"`))
		for _, user := range []string{"alice", "bob"} {
			s.request("GET", "/", "X-User: "+user)
			time.Sleep(20 * time.Second)
			require.Equal(t, user, (<-s.asked).Header.Get("X-User"))
		}
	})
}

func TestPersonalRequestsArePassedThrough(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+r.Header.Get("Authorization")+r.Header.Get("Cookie"))
	})
	for _, test := range [][]string{
		{"POST", "", "POST"},
		{"DELETE", "", "DELETE"},
		{"OPTIONS", "", "OPTIONS"},
		{"GET", "Authorization: Basic alice", "GETBasic alice"},
		{"GET", "Cookie: user=bob", "GETuser=bob"},
		{"GET", "Range: bytes=0-1", "GET"},
		{"GET", "Cache-Control: no-store", "GET"},
		{"GET", `If-Match: "a"`, "GET"},
	} {
		r := s.request(test[0], "/same", test[1])
		require.Equal(t, "passed", r.cache(), test)
		require.Equal(t, test[2], r.body)
	}
	require.Equal(t, "fetched", s.request("GET", "/same").cache(), "none of them was kept")
}

func TestAnswersToRequestsWithCredentialsAreKeptIfTheySayThatTheyAreForAll(t *testing.T) {
	for says, forAll := range map[string]bool{
		"max-age=60": false, "max-age=60, proxy-revalidate": false, "private, max-age=60": false,
		"max-age=60, public": true, "max-age=60, must-revalidate": true, "s-maxage=60": true,
	} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", says)
			io.WriteString(w, "for "+r.Header.Get("Authorization"))
		})
		from, body := []string{"passed", "fetched", "passed", "hit"}, []string{"for alice", "for ", "for bob", "for "}
		switch {
		case forAll:
			from, body = []string{"fetched", "hit", "hit", "hit"}, []string{"for alice", "for alice", "for alice", "for alice"}
		case strings.HasPrefix(says, "private"):
			from[1], from[3] = "passed", "passed"
		}
		for i, header := range []string{"Authorization: alice", "", "Authorization: bob", ""} {
			r := s.request("GET", "/", header)
			require.Equal(t, from[i], r.cache(), "%s %d", says, i)
			require.Equal(t, body[i], r.body, "%s %d", says, i)
		}
	}
}

func TestRequestsWithCredentialsDoNotWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan bool)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			<-gate
			io.WriteString(w, "for "+r.Header.Get("Authorization"))
		})
		users := map[string]<-chan reply{}
		for _, user := range []string{"", "alice", "bob"} {
			header := "X-None: 1"
			if user != "" {
				header = "Authorization: " + user
			}
			users[user] = s.later(t.Context(), "GET", "/", header)
		}
		synctest.Wait()
		require.Len(t, s.asked, 3)
		close(gate)
		for user, got := range users {
			require.Equal(t, "for "+user, (<-got).body)
		}
		require.Equal(t, "hit", s.request("GET", "/").cache(), "their answers do not end what others share")
	})
}

func TestPersonalAnswersAreNotShared(t *testing.T) {
	for _, header := range []string{
		"Set-Cookie: session=1", "Cache-Control: private", "Cache-Control: max-age=60, no-store",
		`Cache-Control: Private="X-User"`, "Vary: *", "Vary: Accept, *", "Vary: x-forwarded-for",
	} {
		t.Run(header, func(t *testing.T) {
			name, value, _ := strings.Cut(header, ": ")
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(name, value)
				io.WriteString(w, "for "+r.UserAgent())
			})
			for _, user := range []string{"alice", "bob"} {
				r := s.request("GET", "/me", "User-Agent: "+user)
				require.Equal(t, "passed", r.cache())
				require.Equal(t, "for "+user, r.body)
				require.Equal(t, value, r.header.Get(name))
			}
			require.Len(t, s.asked, 2, "one for each user")
		})
	}
}

func TestPersonalAnswerIsNotSharedByThoseWhoWaitedForIt(t *testing.T) {
	for _, says := range []string{"private", "no-store, max-age=60"} {
		synctest.Test(t, func(t *testing.T) {
			answer := make(chan bool)
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				<-answer
				w.Header().Set("Cache-Control", says)
				io.WriteString(w, "for "+r.Header.Get("X-User"))
			})
			users := map[string]<-chan reply{}
			for i := range 5 {
				user := fmt.Sprint(i)
				users[user] = s.later(t.Context(), "GET", "/", "X-User: "+user)
			}
			synctest.Wait()
			require.Len(t, s.asked, 1)
			close(answer)
			for user, got := range users {
				r := <-got
				require.Equal(t, "for "+user, r.body)
				require.Equal(t, "passed", r.cache())
			}
			require.Len(t, s.asked, 5, "one for each")
		})
	}
}

func TestRefusalIsNotShared(t *testing.T) {
	for _, status := range []int{400, 401, 403, 429} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Api-Key") != "alice's" {
				w.WriteHeader(status)
			}
		})
		require.Equal(t, status, s.request("GET", "/").status)
		require.Equal(t, 200, s.request("GET", "/", "X-Api-Key: alice's").status)
		require.Equal(t, status, s.request("GET", "/").status)
	}
}

func TestGzipHasAPageOfItsOwn(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		io.WriteString(w, r.Header.Get("Accept-Encoding"))
	})
	for _, test := range [][3]string{
		{"gzip, br", "fetched", "gzip, br"}, {"identity", "fetched", "identity"}, {"deflate;q=1, GZIP;q=0.5", "fetched", "gzip"},
		{"br;q=0.2,gzip", "hit", "gzip, br"}, {"gzip; q=0.0", "hit", "identity"}, {"x-gzip", "hit", "gzip"}, {"", "hit", "identity"},
		{"*", "fetched", "gzip, br, zstd"}, {"gzip;q=0, *", "fetched", "br, zstd"}, {"identity;q=0, gzip", "fetched", "gzip, identity;q=0"},
	} {
		r := s.request("GET", "/", "Accept-Encoding: "+test[0])
		require.Equal(t, test[1], r.cache(), test[0])
		require.Equal(t, test[2], r.body, test[0])
	}
}

func TestOriginsErrorPageIsHandedOnAndNotKept(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	})
	for range 2 {
		r := s.request("GET", "/")
		require.Equal(t, 503, r.status)
		require.Equal(t, "out of order\n", r.body)
		require.Equal(t, "fetched", r.cache())
	}
	require.Len(t, s.asked, 2)
	require.EqualValues(t, 2, s.stats.failed.Load())
}

func TestErrorsThatSayHowLongTheyHoldAreKept(t *testing.T) {
	for _, status := range []int{400, 403, 429, 499, 500, 503, 599} {
		for _, says := range []string{"Cache-Control: max-age=10", "CDN-Cache-Control: max-age=10", "Expires: Sat, 01 Jan 2000 00:00:10 GMT"} {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					addLines(w.Header(), says)
					http.Error(w, "sorry", status)
				})
				for _, from := range []string{"fetched", "hit"} {
					r := s.request("GET", "/")
					require.Equal(t, status, r.status)
					require.Equal(t, "sorry\n", r.body)
					require.Equal(t, from, r.cache(), "%d %s", status, says)
				}
				time.Sleep(10 * time.Second)
				require.Equal(t, "fetched", s.request("GET", "/").cache())
			})
		}
	}
}

func TestErrorPageIsSharedByThoseWhoWaitedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan bool)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-answer; http.Error(w, "sorry", 500) })
		var all []<-chan reply
		for range 10 {
			all = append(all, s.later(t.Context(), "GET", "/"))
			synctest.Wait()
		}
		close(answer)
		for _, got := range all {
			require.Equal(t, "sorry\n", (<-got).body)
		}
		require.Len(t, s.asked, 1, "they do not try again one after the other")
	})
}

func TestRedirectsAreHandedOn(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	for range 2 {
		r := s.request("GET", "/")
		require.Equal(t, 302, r.status)
		require.Equal(t, "/elsewhere", r.header.Get("Location"))
		require.Equal(t, "fetched", r.cache(), "a temporary redirect is not kept")
	}
}

// failing makes the origin unreachable.
func (s *site) failing(err error) {
	s.transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
	s.proxy = newProxy(s.front)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOriginThatIsGoneIsABadGateway(t *testing.T) {
	s := newSite(t, nil)
	s.failing(errors.New("no route"))
	for _, method := range []string{"GET", "POST"} {
		r := s.request(method, "/")
		require.Equal(t, 502, r.status)
		require.Equal(t, "Bad Gateway\n", r.body)
	}
	require.Equal(t, 2, strings.Count(s.log.String(), "\n"), s.log.String())
	require.Contains(t, s.log.String(), `request="GET /" error="origin: no route"`)
}

func TestFetchThatPanicsOrExitsIsABadGatewayAndThePageIsUsableAgain(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	working := s.transport
	for _, fault := range []func(){func() { panic("oh") }, runtime.Goexit} {
		s.transport = roundTrip(func(*http.Request) (*http.Response, error) { fault(); return nil, nil })
		r := s.request("GET", "/")
		require.Equal(t, 502, r.status)
		require.NotContains(t, r.body, "oh")
	}
	require.Contains(t, s.log.String(), "panicked: oh")
	require.Contains(t, s.log.String(), "handler_test.go", "with the stack")
	s.transport = working
	require.Equal(t, "fine", s.request("GET", "/").body)
}

func TestOriginThatDoesNotAnswerIsAGatewayTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		start := time.Now()
		require.Equal(t, 504, s.request("GET", "/").status)
		require.Equal(t, s.Timeout, time.Since(start))
	})
}

func TestStatusOfFailures(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
	}{
		{errors.New("x"), 502},
		{errTimeout, 504},
		{fmt.Errorf("%w: x", errStale), 504},
		{dedup.ErrClosed, 503},
		{dedup.ErrTooManyWaiters, 503},
		{&dedup.PanicError{Value: "oh"}, 502},
	} {
		require.Equal(t, test.status, statusOf(test.err), test.err)
	}
}

func TestCloseReleasesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		got := s.later(t.Context(), "GET", "/")
		synctest.Wait()
		s.Cache.Close()
		require.Equal(t, 503, (<-got).status)
		require.Equal(t, 503, s.request("GET", "/").status)
		require.Len(t, s.asked, 1)
	})
}

func TestUserWhoLeftIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithCancel(t.Context())
		got := s.later(ctx, "GET", "/")
		request := <-s.asked
		cancel()
		require.Equal(t, 504, (<-got).status) // nobody sees it
		synctest.Wait()
		require.Error(t, request.Context().Err(), "the fetch ended with its last user")
		require.Zero(t, s.stats.failed.Load())
		require.Empty(t, s.log.String())
	})
}

func TestOneUsersDisconnectDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan bool)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-answer; io.WriteString(w, "whole") })
		ctx, cancel := context.WithCancel(t.Context())
		first := s.later(ctx, "GET", "/")
		<-s.asked
		second := s.later(t.Context(), "GET", "/")
		synctest.Wait()
		cancel()
		require.Equal(t, 504, (<-first).status)
		close(answer)
		r := <-second
		require.Equal(t, "whole", r.body)
		require.Equal(t, "coalesced", r.cache())
		require.Empty(t, s.asked)
	})
}

// Publish before release: no page is fetched twice, however users fall between
// the two steps.
func TestOneFetchForEachPageUnderStress(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	const pages, users = 100, 8
	done := make(chan error, users)
	for range users {
		go func() {
			var err error
			for i := range pages {
				if r := s.request("GET", fmt.Sprint("/", i)); r.body != fmt.Sprint("/base/", i) {
					err = fmt.Errorf("page %d: %d %q", i, r.status, r.body)
				}
			}
			done <- err
		}()
	}
	for range users {
		require.NoError(t, <-done)
	}
	require.Len(t, s.asked, pages)
}
