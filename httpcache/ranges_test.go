package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const digits = "0123456789"

func TestPartsOfACodedPageAreOfWhatTheUserAccepts(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		if r.Header.Get("Accept-Encoding") == "gzip" {
			addLines(w.Header(), "Content-Encoding: gzip", `ETag: "a"`)
		}
		io.WriteString(w, digits)
	})
	ask := func(from string, status int, header ...string) reply {
		r := s.request("GET", "/", header...)
		require.Equal(t, from, r.cache(), header)
		require.Equal(t, status, r.status, header)
		return r
	}
	ask("fetched", 200, "Accept-Encoding: gzip")
	r := ask("hit", 206, "Accept-Encoding: gzip", "Range: bytes=2-4", `If-Range: "a"`)
	require.Equal(t, "234", r.body)
	require.Equal(t, "gzip", r.header.Get("Content-Encoding"))
	require.Equal(t, "bytes 2-4/10", r.header.Get("Content-Range"))
	require.Equal(t, "3", r.header.Get("Content-Length"))
	require.Equal(t, digits, ask("hit", 200, "Accept-Encoding: gzip", "Range: bytes=2-4", `If-Range: W/"a"`).body)
	require.Contains(t, ask("hit", 206, "Accept-Encoding: gzip", "Range: bytes=0-1,-1").body, "bytes 9-9/10")
	ask("passed", 200, "Range: bytes=2-4")
	require.Empty(t, ask("hit", 206, "Accept-Encoding: gzip", "Range: bytes=2-4").header["Content-Type"], "it is not guessed")
}

func filling(limit int64) func(*Options) { return func(o *Options) { o.FillRanges = limit } }

func TestColdRangesFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := make(chan bool)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			addLines(w.Header(), "Content-Length: 10", "Cache-Control: max-age=100", `ETag: "a"`)
			for part := range strings.SplitSeq("012 345 6789", " ") {
				io.WriteString(w, part)
				w.(http.Flusher).Flush()
				<-more
			}
		}, filling(10))
		var all []<-chan reply
		ranges := []string{"bytes=0-1", "bytes=1-3", "bytes=4-", "bytes=9-20"}
		for _, part := range ranges {
			all = append(all, s.later(t.Context(), "GET", "/", "Range: "+part))
			synctest.Wait()
		}
		require.Equal(t, "01", (<-all[0]).body, "as it arrives")
		more <- true
		require.Equal(t, "123", (<-all[1]).body)
		more <- true
		close(more)
		require.Equal(t, "456789", (<-all[2]).body)
		r := <-all[3]
		require.Equal(t, "9", r.body)
		require.Equal(t, 206, r.status)
		require.Equal(t, "bytes 9-9/10", r.header.Get("Content-Range"))
		require.Equal(t, "hit", r.cache())
		synctest.Wait()
		require.Len(t, s.asked, 1)
		require.Empty(t, (<-s.asked).Header["Range"])
		require.Equal(t, "hit", s.request("GET", "/", "Range: bytes=-3").cache())
	})
}

func TestRangesThatDoNotFillArePassed(t *testing.T) {
	for _, row := range []struct {
		limit          int64
		length, header string
		asked          int // for two of them
	}{
		{0, "10", "bytes=0-1", 2},
		{9, "10", "bytes=0-1", 3},
		{10, "", "bytes=0-1", 3},
		{10, "10", "bytes=10-", 2},
		{10, "10", "bytes=-1", 2},
		{10, "10", "bytes=0-1,3-4", 2},
		{10, "10", "bytes=0-1-2", 2},
		{10, "10", "lines=0-1", 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				if len(r.Header["Range"]) > 0 {
					w.WriteHeader(206)
					io.WriteString(w, "part")
					return
				}
				addLines(w.Header(), "Content-Length: "+row.length)
				w.(http.Flusher).Flush()
				synctest.Wait()
				io.WriteString(w, digits)
			}, filling(row.limit))
			for range 2 {
				r := s.request("GET", "/", "Range: "+row.header)
				require.Equal(t, "part", r.body, row)
				require.Equal(t, "passed", r.cache())
			}
			require.Len(t, s.asked, row.asked, row)
		})
	}
}

func TestRangeThatFillsGetsWhatIsNoPageAsItIs(t *testing.T) {
	for _, status := range []int{404, 302, 403, 500} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			w.WriteHeader(status)
			io.WriteString(w, digits)
		}, filling(10))
		r := s.request("GET", "/", "Range: bytes=0-1")
		require.Equal(t, status, r.status)
		require.Equal(t, digits, r.body)
	}
}

func TestPersonalPageIsCutForItsLeader(t *testing.T) {
	s := newSite(t, answering("Cache-Control: private", "Content-Length: 8"), filling(10))
	r := s.request("GET", "/", "Range: bytes=0-2")
	require.Equal(t, "ans 206 passed", fmt.Sprint(r.body, " ", r.status, " ", r.cache()))
	require.Len(t, s.asked, 1)
}

func TestPartThatBreaksOffIsABrokenTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "012")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second) // the user has read that
			panic(http.ErrAbortHandler)
		}, filling(10))
		r := s.request("GET", "/", "Range: bytes=1-5")
		require.True(t, r.aborted)
		require.Equal(t, "12", r.body)
		require.Contains(t, s.log.String(), "broke off")
	})
}

func TestPartsThatPassAreNotKept(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Set("Cache-Control", "max-age=100"); len(r.Header["Range"]) > 0 {
			w.Header().Set("Content-Range", "bytes 0-1/10")
			w.WriteHeader(206)
		}
	})
	require.Equal(t, "passed", s.request("GET", "/", "Range: bytes=0-1").cache())
	require.Equal(t, "fetched", s.request("GET", "/").cache())
}
