package httpcache

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// MaxBytes is the limit for bodies, and for the weight of responses with their headers.
// Bodies of evicted responses would be in addition to that.
func TestBodiesOfEvictedResponsesAreDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 2 << 20
		large := strings.Repeat("x", most/8)
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/base/large") {
				io.WriteString(w, large)
				return
			}
			w.Header().Set("Location", strings.Repeat("y", 1000))
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusFound)
		}, func(o *Options) { o.MaxBytes = most })
		for i := range 6 {
			s.request("GET", "/large/"+strconv.Itoa(i))
		}
		time.Sleep(2 * discardDelay)
		for i := range 1000 {
			s.request("GET", "/small/"+strconv.Itoa(i))
			<-s.asked
		}
		time.Sleep(2 * discardDelay)
		synctest.Wait()
		found, headers := int64(0), int64(0)
		for key, e := range s.pages.All() {
			headers += int64(key.weight() + e.weight())
			if e.body != nil {
				found, headers = found+e.body.memory(), headers-e.body.weight()
			}
		}
		require.Greater(t, headers, int64(most/2))
		require.Equal(t, found, s.budget.inUse())
		require.LessOrEqual(t, headers+found, int64(most+most/8))
	})
}

// The renewed response has the same body.
func TestRenewedResponseKeepsTheBodyOfAnExpiredOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			w.Header().Set("Cache-Control", "max-age=10")
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, "page")
		})
		s.request("GET", "/")
		time.Sleep(10*time.Second + validationTime - 3*time.Second) // it expires during the renewal
		require.Equal(t, "revalidated", s.request("GET", "/").cache())
		time.Sleep(2 * discardDelay)
		require.Equal(t, "hit", s.request("GET", "/").cache())
	})
}
