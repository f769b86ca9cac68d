package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A viewer is a user who reads a page as it arrives, and stops reading when
// told to.
type viewer struct {
	*httptest.ResponseRecorder
	mu      sync.Mutex
	paused  chan struct{}   // closed: it reads
	ctx     context.Context // ends when it leaves
	leave   context.CancelFunc
	aborted chan bool // told at the end
}

func (v *viewer) Write(p []byte) (int, error) {
	select {
	case <-v.paused:
	case <-v.ctx.Done(): // as if its connection was closed
		return 0, v.ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ResponseRecorder.Write(p)
}

func (v *viewer) Flush() {}

// resumeIn has somebody who paused read on after a while.
func (v *viewer) resumeIn(d time.Duration) { time.AfterFunc(d, func() { close(v.paused) }) }

func (v *viewer) seen() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.Body.String()
}

func (v *viewer) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.Body.Len()
}

// view has somebody look at a page.
func (s *site) view(t *testing.T, path string, reads bool) *viewer {
	ctx, leave := context.WithCancel(t.Context())
	v := &viewer{ResponseRecorder: httptest.NewRecorder(), paused: make(chan struct{}), ctx: ctx, leave: leave, aborted: make(chan bool, 1)}
	if reads {
		close(v.paused)
	}
	go func() { v.aborted <- s.writeTo(v, newRequest(ctx, "GET", path)) }()
	return v
}

// A tap is an origin whose body the test writes piece by piece; the header goes
// with the first. Closed, it ends; asked to break, it breaks off.
type tap struct {
	header []string
	pieces chan string
	broken bool
	ended  chan error
}

func newTap(header ...string) *tap {
	return &tap{header: header, pieces: make(chan string), ended: make(chan error, 10)}
}

func (tap *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addLines(w.Header(), tap.header...)
	for {
		select {
		case piece, ok := <-tap.pieces:
			if !ok && tap.broken {
				panic(http.ErrAbortHandler)
			} else if !ok {
				tap.ended <- nil
				return
			}
			if _, err := io.WriteString(w, piece); err != nil {
				tap.ended <- err
				return
			}
		case <-r.Context().Done():
			tap.ended <- context.Cause(r.Context())
			return
		}
	}
}

func TestBodyReachesAllWhoWaitAsItArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60")
		s := newSite(t, tap.ServeHTTP)
		var viewers []*viewer
		for range 64 {
			viewers = append(viewers, s.view(t, "/", true))
		}
		want := ""
		for i := range 10 {
			piece := strings.Repeat(fmt.Sprint(i), 10_000)
			tap.pieces <- piece
			want += piece
			synctest.Wait()
			for _, v := range viewers {
				require.Equal(t, want, v.seen(), "piece %d", i)
			}
			for _, v := range viewers[:5] { // some leave, the first of all among them
				v.leave()
				require.True(t, <-v.aborted)
			}
			viewers = viewers[5:]
			viewers = append(viewers, s.view(t, "/", true)) // who comes late gets it from its beginning
			synctest.Wait()
			require.Equal(t, want, viewers[len(viewers)-1].seen())
		}
		close(tap.pieces)
		for _, v := range viewers {
			require.False(t, <-v.aborted)
			require.Equal(t, want, v.seen())
		}
		require.Len(t, s.asked, 1)
		require.Equal(t, "hit", s.request("GET", "/").cache())
	})
}

func TestBodyToBeKeptArrivesInFullThoughAllUsersLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60")
		s := newSite(t, tap.ServeHTTP)
		v := s.view(t, "/", true)
		tap.pieces <- "one, "
		synctest.Wait()
		v.leave()
		require.True(t, <-v.aborted)
		tap.pieces <- "two"
		close(tap.pieces)
		synctest.Wait()
		r := s.request("GET", "/")
		require.Equal(t, "hit", r.cache())
		require.Equal(t, "one, two", r.body)
	})
}

func TestBodyThatIsNotKeptEndsWithItsLastReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60", "Content-Length: 5000")
		s := newSite(t, tap.ServeHTTP, small)
		one, two := s.view(t, "/", true), s.view(t, "/", true)
		synctest.Wait()
		tap.pieces <- "one, "
		synctest.Wait()
		one.leave()
		<-one.aborted
		tap.pieces <- "two, "
		synctest.Wait()
		require.Equal(t, "one, two, ", two.seen())
		two.leave()
		<-two.aborted
		require.ErrorIs(t, <-tap.ended, errUnread)
		require.Empty(t, s.log.String(), "that is no fault")
		synctest.Wait()
		tap.pieces, tap.header = make(chan string), nil
		close(tap.pieces)
		require.Equal(t, "fetched", s.request("GET", "/").cache())
	})
}

func small(o *Options) { o.MaxObject = 2000 }

func (s *site) keeps(path string) bool {
	_, ok := s.pages.Peek(s.keyOf("GET", newRequest(context.Background(), "GET", path)))
	return ok
}

func TestBodyThatBreaksOffIsABrokenTransferAndIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60", "ETag: \"a\"")
		s := newSite(t, tap.ServeHTTP)
		viewers := []*viewer{s.view(t, "/", true), s.view(t, "/", true)}
		synctest.Wait()
		tap.pieces <- "half a "
		synctest.Wait()
		viewers = append(viewers, s.view(t, "/", true)) // a hit, at that time
		synctest.Wait()
		tap.broken = true
		close(tap.pieces)
		for _, v := range viewers {
			require.True(t, <-v.aborted)
			require.Equal(t, "half a ", v.seen())
		}
		synctest.Wait()
		require.Contains(t, s.log.String(), `request="GET /" error="the body broke off: unexpected EOF"`)
		require.False(t, s.keeps("/"))

		tap.pieces, tap.broken = make(chan string, 1), false
		tap.pieces <- "a whole page"
		close(tap.pieces)
		r := s.request("GET", "/")
		require.Equal(t, "a whole page", r.body)
		require.Equal(t, "fetched", r.cache())
		for range len(s.asked) {
			require.Empty(t, (<-s.asked).Header["If-None-Match"], "there is nothing that could still hold")
		}
	})
}

func TestOriginThatStallsIsABrokenTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap()
		s := newSite(t, tap.ServeHTTP)
		v := s.view(t, "/", true)
		tap.pieces <- "half"
		require.True(t, <-v.aborted) // the bubble's clock goes on when all wait
		require.ErrorIs(t, <-tap.ended, errTimeout)
	})
}

func TestUserWhoIsSlowIsNotTheOriginsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Content-Length: 4000000")
		s := newSite(t, tap.ServeHTTP, small)
		v := s.view(t, "/", false)
		go func() {
			for range 40 {
				tap.pieces <- strings.Repeat("x", 100_000)
			}
			close(tap.pieces)
		}()
		v.resumeIn(10 * s.Timeout)
		require.False(t, <-v.aborted)
		require.Equal(t, 4_000_000, v.count())
	})
}

func TestBodyThatOutgrowsTheLimitIsHandedOnAndDropped(t *testing.T) {
	for _, header := range []string{"Content-Length: 10000", ""} {
		synctest.Test(t, func(t *testing.T) {
			tap := newTap("Cache-Control: max-age=60", header)
			s := newSite(t, tap.ServeHTTP, small)
			viewers := []*viewer{s.view(t, "/", true), s.view(t, "/", true), s.view(t, "/", true)}
			synctest.Wait()
			for i := range 10 {
				tap.pieces <- strings.Repeat(fmt.Sprint(i), 1000)
			}
			close(tap.pieces)
			for _, v := range viewers {
				require.False(t, <-v.aborted)
				require.Equal(t, 10_000, v.count())
			}
			synctest.Wait()
			require.Len(t, s.asked, 1)
			require.False(t, s.keeps("/"))
			tap.pieces, tap.header = make(chan string), nil
			close(tap.pieces)
			require.Equal(t, "fetched", s.request("GET", "/").cache())
		})
	}
}

func TestWhoComesTooLateForALargeBodyFetchesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60")
		s := newSite(t, tap.ServeHTTP, small)
		first := s.view(t, "/", true)
		for range 50 {
			tap.pieces <- strings.Repeat("x", 100_000)
		}
		synctest.Wait()
		second := s.view(t, "/", true)
		synctest.Wait()
		require.Len(t, s.asked, 2)
		require.Empty(t, second.seen())
		close(tap.pieces)
		require.False(t, <-first.aborted)
		require.False(t, <-second.aborted)
		require.Zero(t, s.stats.from[passed].Load(), "in common with others, if there were any")
	})
}

func TestFetchOfALargeBodyWaitsForItsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Content-Length: 5000000")
		s := newSite(t, tap.ServeHTTP, small)
		slow := s.view(t, "/", false)
		taken := 0
		synctest.Wait()
		go func() {
			for range 50 {
				tap.pieces <- strings.Repeat("x", 100_000)
				taken++
			}
			close(tap.pieces)
		}()
		synctest.Wait()
		require.LessOrEqual(t, taken, 3, "a window, and what was taken before")
		close(slow.paused)
		require.False(t, <-slow.aborted, "who is alone is never too slow")
		require.Equal(t, 5_000_000, slow.count())
	})
}

func TestCloseEndsBodiesAndWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60")
		s := newSite(t, tap.ServeHTTP)
		v := s.view(t, "/", true)
		tap.pieces <- "half"
		synctest.Wait()
		require.Equal(t, 1, s.fetches.Count())
		s.Cache.Close()
		require.Zero(t, s.fetches.Count())
		require.True(t, <-v.aborted)
		require.Empty(t, s.log.String(), "that is no fault of the origin's")
	})
}

// The same over real connections, where a client must be told.
func TestClientSeesThatATransferIsBroken(t *testing.T) {
	for _, length := range []string{"Content-Length: 100", ""} {
		s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), "Cache-Control: max-age=60", length)
			io.WriteString(w, "half a page")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))
		for range 2 { // nothing is kept of it
			r := get(s.url)
			require.True(t, errors.Is(r.err, io.ErrUnexpectedEOF) || errors.Is(r.err, io.EOF), "%v", r.err)
			require.NotEqual(t, "hit", r.cache())
		}
	}
}

func TestClientWhoHangsUpDoesNotHurtTheOthers(t *testing.T) {
	pieces := make(chan string)
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := range pieces {
			io.WriteString(w, piece)
			w.(http.Flusher).Flush()
		}
	}))
	open := func() *http.Response {
		res, err := client.Get(s.url)
		require.NoError(t, err)
		return res
	}
	first := make(chan *http.Response)
	go func() { first <- open() }()
	pieces <- "one, "
	quitter, stayer := <-first, open()
	buf := make([]byte, 5)
	for _, res := range []*http.Response{quitter, stayer} {
		_, err := io.ReadFull(res.Body, buf)
		require.NoError(t, err)
		require.Equal(t, "one, ", string(buf), "before the origin went on")
	}
	quitter.Body.Close()
	pieces <- "two"
	close(pieces)
	rest, err := io.ReadAll(stayer.Body)
	stayer.Body.Close()
	require.NoError(t, err)
	require.Equal(t, "two", string(rest))
	require.Equal(t, "hit", stayer.Header.Get("X-Cache"))
	require.EqualValues(t, 1, s.cache.Stats().Origin)
}
