package httpcache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// Users who read too slowly, or leave, and bodies that break off.

// largePage is a body of two windows at least, under the option small.
var largePage = bytes.Repeat([]byte("0123456789abcdef"), 64<<10)

// serveLarge is an origin of one large page with a validator, and of its parts. It
// takes a second, so that users who ask together share its answer.
func serveLarge(validator string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		addLines(w.Header(), "Cache-Control: max-age=60", validator)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(largePage))
	}
}

func TestSlowUserGoesOnByARequestOfItsOwn(t *testing.T) {
	for _, validator := range []string{`ETag: "a"`, "Last-Modified: Fri, 01 Jan 1999 00:00:00 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			origin := serveLarge(validator)
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				if when := strings.TrimPrefix(validator, "Last-Modified: "); when != validator && r.Header.Get("If-Range") != "" {
					require.Equal(t, when, r.Header.Get("If-Range"))
					r.Header.Del("If-Range") // ServeContent has no date
				}
				origin(w, r)
			}, small)
			slow, fast := s.view(t, "/", false), s.view(t, "/", true)
			require.False(t, <-fast.aborted)
			require.Equal(t, string(largePage), fast.seen())
			require.Len(t, s.asked, 1)
			close(slow.paused)
			require.False(t, <-slow.aborted)
			require.Equal(t, string(largePage), slow.seen(), "not a byte less, and none twice")
			require.Len(t, s.asked, 2)
			<-s.asked
			part := <-s.asked
			require.Equal(t, fmt.Sprintf("bytes=%d-", chunkSize), part.Header.Get("Range"))
			require.EqualValues(t, 1, s.Stats().Detached)
			require.Zero(t, s.Stats().Broken)
			synctest.Wait()
			require.Zero(t, s.Stats().Bytes)
		})
	}
}

func TestSlowUserSlowsTheOthersIfItCannotGoOnAlone(t *testing.T) {
	for _, lines := range []string{"", `ETag: W/"a"`, `ETag: "a"|Accept-Ranges: none`, `ETag: "a"|status`} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				addLines(w.Header(), append(strings.Split(lines, "|"), "Cache-Control: max-age=60")...)
				time.Sleep(time.Second)
				if strings.HasSuffix(lines, "status") {
					w.WriteHeader(http.StatusNotFound)
				}
				w.Write(largePage)
			}, small)
			slow, fast := s.view(t, "/", false), s.view(t, "/", true)
			time.Sleep(time.Minute)
			require.Less(t, fast.count(), len(largePage)/2)
			close(slow.paused)
			for _, v := range []*viewer{slow, fast} {
				require.False(t, <-v.aborted)
				require.Equal(t, string(largePage), v.seen())
			}
			require.Len(t, s.asked, 1)
		})
	}
}

// The rest may not be to be had: then the user is told so.
func TestPartThatIsNotTheRestBreaksTheTransfer(t *testing.T) {
	total := len(largePage)
	end := fmt.Sprintf("bytes %d-%d/%d", chunkSize, total-1, total)
	for _, test := range []struct {
		name   string
		status int
		lines  []string
		n      int // how much more than the rest comes
	}{
		{"another page", 200, nil, chunkSize},
		{"no such range", 416, nil, 0},
		{"another tag", 206, []string{"Content-Range: " + end, `ETag: "b"`}, 0},
		{"another encoding", 206, []string{"Content-Range: " + end, "Content-Encoding: gzip"}, 0},
		{"no range", 206, nil, 0},
		{"another unit", 206, []string{"Content-Range: lines" + strings.TrimPrefix(end, "bytes")}, 0},
		{"not from there", 206, []string{fmt.Sprintf("Content-Range: bytes %d-%d/%d", chunkSize+1, total-1, total)}, 0},
		{"not to the end", 206, []string{fmt.Sprintf("Content-Range: bytes %d-%d/%d", chunkSize, total-2, total)}, 0},
		{"another length", 206, []string{fmt.Sprintf("Content-Range: bytes %d-%d/%d", chunkSize, total, total+1)}, 1},
		{"an unknown length", 206, []string{fmt.Sprintf("Content-Range: bytes %d-%d/*", chunkSize, total-1)}, 0},
		{"too short", 206, []string{"Content-Range: " + end, `ETag: "a"`}, -1},
		{"too long", 206, []string{"Content-Range: " + end, `ETag: "a"`}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				whole := serveLarge(`ETag: "a"`)
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Range") == "" {
						whole(w, r)
						return
					}
					addLines(w.Header(), test.lines...)
					w.WriteHeader(test.status)
					w.Write(make([]byte, total-chunkSize+test.n))
				}, small)
				slow, fast := s.view(t, "/", false), s.view(t, "/", true)
				require.False(t, <-fast.aborted)
				close(slow.paused)
				require.True(t, <-slow.aborted)
				require.Equal(t, Stats{
					Requests: 2, Coalesced: 1, Fetched: 1, Failed: 1, Broken: 1, Detached: 1, Origin: 2, Waited: 2,
				}, s.Stats())
				require.Contains(t, s.log.String(), "a response broke off")
			})
		})
	}
}

func TestBodyThatBreaksOffIsCountedForEachUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := newTap("Cache-Control: max-age=60")
		s := newSite(t, tap.ServeHTTP)
		one, two, leaver := s.view(t, "/", true), s.view(t, "/", true), s.view(t, "/", true)
		tap.pieces <- "half"
		synctest.Wait()
		leaver.leave()
		require.True(t, <-leaver.aborted)
		tap.broken = true
		close(tap.pieces)
		require.True(t, <-one.aborted)
		require.True(t, <-two.aborted)
		require.EqualValues(t, 2, s.Stats().Broken, "who left knows why")
		require.EqualValues(t, 2, s.Stats().Failed)
	})
}

// Nobody leaves a request at the origin behind that goes on forever.
func TestStreamWithoutEndIsClosedWithItsLastReader(t *testing.T) {
	for _, header := range []string{"", "Cache-Control: max-age=60", "Cache-Control: max-age=60|Content-Length: 1500"} {
		synctest.Test(t, func(t *testing.T) {
			open := make(chan struct{}, 100)
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				open <- struct{}{}
				defer func() { <-open }()
				addLines(w.Header(), strings.Split(header, "|")...)
				for r.Context().Err() == nil {
					if _, err := io.WriteString(w, "."); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			}, small)
			var viewers []*viewer
			for i := range 20 {
				viewers = append(viewers, s.view(t, fmt.Sprint("/", i), true))
			}
			time.Sleep(400 * time.Millisecond)
			require.Len(t, open, 20)
			for _, v := range viewers {
				v.leave()
				require.True(t, <-v.aborted)
			}
			time.Sleep(s.UnreadTimeout - time.Second)
			require.Len(t, open, 20)
			time.Sleep(2 * time.Second)
			require.Empty(t, open)
			require.Zero(t, s.Stats().Bytes)
			require.Empty(t, s.log.String(), "that is no fault")
			require.Zero(t, s.fetches.Count())
			require.False(t, s.keeps("/1"))
		})
	}
}

// Renewals behind the users' backs have no readers, and are not given up.
func TestRenewalInTheBackgroundMayTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow time.Duration
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), "Cache-Control: max-age=100, stale-while-revalidate=1000", "Content-Length: 8")
			io.WriteString(w, "half")
			time.Sleep(slow)
			io.WriteString(w, "half")
		})
		require.Equal(t, "fetched", s.request("GET", "/").cache())
		slow = 2 * s.UnreadTimeout
		time.Sleep(101 * time.Second)
		require.Equal(t, "stale", s.request("GET", "/").cache())
		time.Sleep(slow + time.Second)
		require.Equal(t, "halfhalf", s.request("GET", "/").body)
		require.Len(t, s.asked, 2)
		require.Equal(t, "hit", s.request("GET", "/").cache())
	})
}

// The header does not wait for the body.
func TestHeaderOfABodyThatIsLateIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			io.WriteString(w, "late")
		})
		w := &flushWriter{countingWriter: countingWriter{header: http.Header{}}}
		start := time.Now()
		s.ServeHTTP(w, newRequest(t.Context(), "GET", "/"))
		require.Less(t, w.flushed.Sub(start), time.Second/2)
		require.Equal(t, []int{4}, w.writes)
	})
}

// A flushWriter notes the first flush.
type flushWriter struct {
	countingWriter
	flushed time.Time
}

func (w *flushWriter) Flush() {
	if w.flushed.IsZero() {
		w.flushed = time.Now()
	}
}

// Close comes while a fetch waits for the origin, for a reader, and for an heir of
// its memory; and while a user goes on alone.
func TestCloseEndsTransfersInEachState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := serveLarge(`ETag: "a"`)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Range") != "" || r.URL.Path == "/base/stalls":
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			default:
				large(w, r)
			}
		}, small)
		stalled, slow := s.view(t, "/stalls", true), s.view(t, "/slow", false)
		detached, fast := s.view(t, "/detached", false), s.view(t, "/detached", true)
		s.view(t, "/left", false).leave()
		require.False(t, <-fast.aborted)
		require.NotZero(t, s.fetches.Count())
		s.Cache.Close()
		require.Zero(t, s.fetches.Count())
		require.True(t, <-stalled.aborted)
		close(slow.paused)
		require.True(t, <-slow.aborted)
		close(detached.paused)
		require.True(t, <-detached.aborted)
		require.EqualValues(t, 1, s.Stats().Detached)
		synctest.Wait()
		require.Zero(t, s.Stats().Bytes)
	})
}

func TestStrongValidators(t *testing.T) {
	const date = "Date: Mon, 01 Jan 2001 00:01:00 GMT"
	for lines, want := range map[string]string{
		`ETag: "a"`:   `"a"`,
		`ETag: W/"a"`: "",
		`ETag: a`:     "",
		"":            "",
		date + "|Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT":                "Mon, 01 Jan 2001 00:00:00 GMT",
		date + "|Last-Modified: Mon, 01 Jan 2001 00:00:01 GMT":                "",
		date + "|Last-Modified: nonsense":                                     "",
		"Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT":                        "",
		date + `|Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT|ETag: "b"`:      `"b"`,
		date + `|Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT|ETag: W/"weak"`: "Mon, 01 Jan 2001 00:00:00 GMT",
	} {
		h := http.Header{}
		addLines(h, strings.Split(lines, "|")...)
		require.Equal(t, want, strongValidator(h), lines)
	}
}

// A hit of a small page writes it at once, and copies nothing.
func TestHitOfASmallPageIsOneWrite(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 10_000)) })
	s.request("GET", "/")
	w := &countingWriter{header: http.Header{}}
	require.Eventually(t, func() bool { return s.keeps("/") }, time.Minute, time.Millisecond)
	s.ServeHTTP(w, newRequest(context.Background(), "GET", "/"))
	require.Equal(t, "hit", w.header.Get("X-Cache"))
	require.Equal(t, []int{10_000}, w.writes)
}

func TestHitAllocatesLittle(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 10_000)) })
	s.request("GET", "/")
	require.Eventually(t, func() bool { return s.keeps("/") }, time.Minute, time.Millisecond)
	w, r := &countingWriter{header: http.Header{}}, newRequest(context.Background(), "GET", "/")
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		clear(w.header)
		w.writes = w.writes[:0]
		s.ServeHTTP(w, r)
	}), 4.0, "the ask, Age and its digits, Cache-Status")
}

type countingWriter struct {
	header http.Header
	writes []int
}

func (w *countingWriter) Header() http.Header { return w.header }
func (w *countingWriter) WriteHeader(int)     {}
func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes = append(w.writes, len(p))
	return len(p), nil
}

// The same over real connections: many read a body that is not kept, some of them
// slowly.
func TestEachClientGetsAllOfALargeBody(t *testing.T) {
	body := bytes.Repeat(largePage, 4)
	for _, validator := range []string{"", `ETag: "a"`} {
		started := make(chan struct{})
		s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), validator)
			if r.Header.Get("Range") == "" {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				w.(http.Flusher).Flush()
				<-started
				w.Write(body)
				return
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
		}), func(o *Options) { o.MaxObject, o.MaxDelay = 1<<20, 10*time.Millisecond })
		var all, there sync.WaitGroup
		for i := range 16 {
			there.Add(1)
			all.Go(func() {
				res, err := client.Get(s.url)
				there.Done()
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				got, err := readSlowly(res.Body, i%4 == 0)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		there.Wait()
		close(started)
		all.Wait()
		require.Zero(t, s.cache.Stats().Broken)
	}
}

// readSlowly reads all of r, if it is slow with a pause that the kernel's buffers
// cannot hide.
func readSlowly(r io.Reader, slow bool) ([]byte, error) {
	first := make([]byte, 1<<20)
	n, err := io.ReadFull(r, first)
	if slow {
		time.Sleep(50 * time.Millisecond)
	}
	rest, err2 := io.ReadAll(r)
	return append(first[:n], rest...), errors.Join(err, err2)
}

// A client may hang up while the fetch waits for it to read on.
func TestClientWhoHangsUpWithoutReadingLeavesNothing(t *testing.T) {
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, zeros{}) }),
		func(o *Options) { o.MaxObject, o.UnreadTimeout = 1<<20, time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1000))
	require.NoError(t, err)
	require.Equal(t, 1, s.cache.fetches.Count())
	conn.Close()
	require.Eventually(t, func() bool { return s.cache.fetches.Count() == 0 && s.cache.Stats().Bytes == 0 },
		time.Minute, time.Millisecond)
}

// zeros is a source without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
