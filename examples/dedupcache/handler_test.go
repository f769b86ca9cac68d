package main

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

func TestNothingOfTheFirstUserReachesTheSharedFetch(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
	require.Equal(t, "fetched", s.request("GET", "/", "X-User: alice", "Accept-Language: de", "User-Agent: alice's").cache())
	r := <-s.asked
	require.Empty(t, r.Header["X-User"])
	require.Empty(t, r.Header["Accept-Language"])
	require.Equal(t, "vigil-dedupcache", r.UserAgent())
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
		{"GET", "Cache-Control: max-age=0, no-cache", "GET"},
		{"GET", "Cache-Control: no-store", "GET"},
		{"GET", "Pragma: no-cache", "GET"},
		{"GET", `If-Match: "a"`, "GET"},
	} {
		r := s.request(test[0], "/same", test[1])
		require.Equal(t, "passed", r.cache(), test)
		require.Equal(t, test[2], r.body)
	}
	require.Equal(t, "fetched", s.request("GET", "/same").cache(), "none of them was kept")
}

func TestPersonalAnswersAreNotShared(t *testing.T) {
	for _, header := range []string{
		"Set-Cookie: session=1", "Cache-Control: private", "Cache-Control: max-age=60, no-store",
		`Cache-Control: Private="X-User"`, "Vary: Cookie", "Vary: Accept-Encoding, Accept-Language", "Vary: *",
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
			require.Len(t, s.asked, 3, "the verdict is remembered: one fetch, then one for each user")
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
			require.Len(t, s.asked, 6, "one in common, one for each")
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
		{"gzip, br", "fetched", "gzip"}, {"identity", "fetched", "identity"}, {"deflate;q=1, GZIP;q=0.5", "hit", "gzip"},
		{"gzip;q=0, *", "hit", "identity"}, {"gzip; q=0.0", "hit", "identity"}, {"br", "hit", "identity"},
	} {
		r := s.request("GET", "/", "Accept-Encoding: "+test[0])
		require.Equal(t, test[1], r.cache(), test[0])
		require.Equal(t, test[2], r.body, test[0])
	}
}

func TestVaryOnAFieldOfTheListIsKeptApart(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "accept-language")
		io.WriteString(w, strings.Join(r.Header["Accept-Language"], "+"))
	}, func(cfg *config) { cfg.vary = []string{"Accept-Language", "X-Kind"} })
	for _, test := range [][]string{
		{"fetched", "de", "Accept-Language: de"},
		{"fetched", "en", "Accept-Language: en"},
		{"fetched", ""},
		{"hit", "de", "Accept-Language: de"},
		{"hit", "en", "Accept-Language: en", "X-Other: 1"},
		{"fetched", "en", "Accept-Language: en", "X-Kind: 1"},
		{"hit", ""},
	} {
		r := s.request("GET", "/", test[2:]...)
		require.Equal(t, test[0], r.cache(), test)
		require.Equal(t, test[1], r.body, test)
	}
}

func TestOriginsErrorPageIsHandedOnAndNotKept(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
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
	s.upstream.transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
	s.proxy = newProxy(s.handler)
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
	require.Contains(t, s.log.String(), "GET /: origin: no route")
}

func TestFetchThatPanicsOrExitsIsABadGatewayAndThePageIsUsableAgain(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "fine") })
	working := s.upstream.transport
	for _, fault := range []func(){func() { panic("oh") }, runtime.Goexit} {
		s.upstream.transport = roundTrip(func(*http.Request) (*http.Response, error) { fault(); return nil, nil })
		r := s.request("GET", "/")
		require.Equal(t, 502, r.status)
		require.NotContains(t, r.body, "oh")
	}
	require.Contains(t, s.log.String(), "panicked: oh")
	require.Contains(t, s.log.String(), "handler_test.go", "with the stack")
	s.upstream.transport = working
	require.Equal(t, "fine", s.request("GET", "/").body)
}

func TestOriginThatDoesNotAnswerIsAGatewayTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		start := time.Now()
		require.Equal(t, 504, s.request("GET", "/").status)
		require.Equal(t, fetchTimeout, time.Since(start))
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
		s.close()
		require.Equal(t, 503, (<-got).status)
		require.Equal(t, 503, s.request("GET", "/").status)
		require.Len(t, s.asked, 1)
	})
}

func TestUserWhoLeftGetsNothingAndIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithCancel(t.Context())
		got := s.later(ctx, "GET", "/")
		request := <-s.asked
		cancel()
		require.Empty(t, (<-got).body)
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
		require.Empty(t, (<-first).body)
		close(answer)
		r := <-second
		require.Equal(t, "whole", r.body)
		require.Equal(t, "joined", r.cache())
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
