package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// joinDelay may end after the fetch has looked for room, and before it waits.
func TestFetchSeesThatTheJoinDelayIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false)
		r := k.join(t)
		k.write(4 * chunkSize)
		take(t, r, 4*chunkSize)
		_, err := r.look()
		require.NoError(t, err)
		require.NoError(t, k.room.Wait(t.Context()), "it was told that there is room, too early")
		time.Sleep(joinDelay - 1)
		_, full := k.rest()
		require.True(t, full)
		time.Sleep(time.Nanosecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.NoError(t, k.wait(ctx))
		leave(r)
		k.finish(io.ErrUnexpectedEOF)
	})
}

// With the smallest MaxDelay, the fetch does not look all the time.
func TestFetchWithoutMaxDelayRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false, func(o *streamOptions) { o.resume, o.maxDelay = restOf, 1 })
		slow, idle := k.join(t), k.join(t)
		k.write(4 * chunkSize)
		take(t, idle, 4*chunkSize)
		time.Sleep(joinDelay)
		for range 3 { // no reader waits, so none is detached
			d, blocked := k.block()
			require.True(t, blocked)
			require.GreaterOrEqual(t, d, minLook)
			k.countWait(time.Second)
		}
		k.finish(io.ErrUnexpectedEOF)
		leave(slow)
		leave(idle)
	})
}

// A renewal in the background has no readers that could make room.
func TestBackgroundRenewalWhosePageIsPurgedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, slowly := make(chan error, 2), false
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=1000")
			w.Header().Set("Content-Length", strconv.Itoa(64*chunkSize))
			var err error
			for i := 0; i < 64 && err == nil; i++ {
				if slowly {
					time.Sleep(100 * time.Millisecond)
				}
				_, err = w.Write(make([]byte, chunkSize))
			}
			ended <- err
		}, func(o *Options) { o.MaxBytes = 8 << 20 })
		s.request("GET", "/")
		require.NoError(t, <-ended)
		time.Sleep(20 * time.Second)
		slowly = true
		require.Equal(t, "stale", s.request("GET", "/").cache())
		time.Sleep(time.Second)
		s.Purge(Selection{URL: "/"})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, ended, 1, "it is given up")
		require.Error(t, <-ended)
		require.Zero(t, s.budget.inUse())
	})
}

// newRestSite returns a site with a page of n bytes. Requests for ranges are sent to asked.
func newRestSite(t *testing.T, n int, asked chan<- string) *site {
	return newSite(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		from, status, part := 0, http.StatusOK, r.Header.Get("Range")
		if part != "" {
			asked <- part
			from, _ = strconv.Atoi(part[len("bytes=") : len(part)-1])
			status = http.StatusPartialContent
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, n-1, n))
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", strconv.Itoa(n-from))
		w.WriteHeader(status)
		for from < n {
			m, err := w.Write(content(int64(from))[:min(chunkSize, n-from)])
			if from += m; err != nil {
				return
			}
		}
	})
}

// A pausing client pauses once, after n bytes.
type pausing struct {
	header http.Header
	status int
	got    []byte
	n      int
	pause  time.Duration
}

func (p *pausing) Header() http.Header    { return p.header }
func (p *pausing) WriteHeader(status int) { p.status = status }
func (p *pausing) Flush()                 {}
func (p *pausing) Write(b []byte) (int, error) {
	p.got = append(p.got, b...)
	if p.n > 0 && len(p.got) >= p.n {
		p.n = 0
		time.Sleep(p.pause)
	}
	return len(b), nil
}

// The origin has no range that begins at the end.
func TestReaderThatIsDetachedAtTheEndHasAll(t *testing.T) {
	for _, announced := range []int64{-1, 4 * chunkSize} {
		synctest.Test(t, func(t *testing.T) {
			refused := func(context.Context, int64) (io.ReadCloser, error) { return nil, errNotTheRest }
			k := newStream(t, false, func(o *streamOptions) { o.resume, o.window, o.announced = refused, 1, announced })
			fast := k.join(t)
			slow, done := k.join(t), make(chan any)
			w := &pausing{header: http.Header{}, n: 4 * chunkSize, pause: time.Hour}
			go func() {
				defer func() { done <- recover() }()
				defer leave(slow)
				slow.writeTo(t.Context(), w)
			}()
			go k.arrive(whole(4 * chunkSize))
			take(t, fast, 4*chunkSize)
			_, err := fast.next(t.Context())
			require.Equal(t, io.EOF, err)
			leave(fast)
			require.Nil(t, <-done)
			require.Empty(t, k.breaks)
			require.Equal(t, 1, k.detachments)
			require.True(t, isContent(w.got[3*chunkSize:], 3*chunkSize))
			synctest.Wait()
			require.Zero(t, k.budget.inUse())
		})
	}
}

// Range requests that FillRanges answers go on as well.
func TestRangeReaderThatIsDetachedGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 60*chunkSize + 7
		asked := make(chan string, 10)
		s := newRestSite(t, n, asked)
		s.MaxObject, s.FillRanges, s.Cache.window = 1<<10, 1<<30, 4
		slow := &pausing{header: http.Header{}, n: chunkSize, pause: time.Hour}
		done := make(chan bool)
		go func() { done <- s.writeTo(slow, newRequest(t.Context(), "GET", "/", "Range: bytes=5-")) }()
		synctest.Wait()
		fast := s.request("GET", "/")
		require.Len(t, fast.body, n)
		require.False(t, <-done)
		require.Equal(t, 206, slow.status)
		require.Len(t, slow.got, n-5)
		for off := 5; off < n; off += chunkSize {
			require.True(t, isContent(slow.got[off-5:min(off-5+chunkSize, n-5)], int64(off)))
		}
		require.Len(t, asked, 1)
		require.EqualValues(t, 1, s.Stats().Detached)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(t, s.budget.inUse())
	})
}

// A goneAfter fails after n writes.
type goneAfter struct {
	http.ResponseWriter
	n int
}

func (w *goneAfter) Write(p []byte) (int, error) {
	if w.n--; w.n < 0 {
		return 0, errors.New("gone")
	}
	return len(p), nil
}

// For several ranges, http.ServeContent starts a goroutine, and does not wait for it.
func TestRangesAreNotReadOnceTheBodyIsReleased(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1<<20)) },
		func(o *Options) { o.MaxBytes = 2 << 20 })
	for range 20 {
		s.request("GET", "/")
		r := newRequest(t.Context(), "GET", "/", "Range: bytes=0-400000,1-500000")
		s.writeTo(&goneAfter{newNowhere(), 5}, r)
		s.Purge(Selection{Prefix: "/"})
		for range 3 { // other bodies get its memory
			s.request("GET", "/other")
			s.Purge(Selection{Prefix: "/"})
		}
	}
}
