package httpcache

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// ofRequests are lines of requests; what is kept may be for others without them.
var ofRequests = []string{
	"Authorization: a", "Cookie: other=1", "Cookie: ad1=x", "Range: bytes=0-1", "Range: x", "Cache-Control: no-store", "Cache-Control: no-cache",
	"Cache-Control: max-age=0", "Cache-Control: max-stale", "Cache-Control: min-fresh=5", "Pragma: no-cache", "If-Match: *", "If-None-Match: *",
	"If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", "If-Unmodified-Since: x", "If-Range: x", "Upgrade: websocket", "Connection: Upgrade", "Expect: x",
	"X-Http-Method-Override: PUT", "X_Original_Url: /", "Proxy-Authorization: x", "Max-Forwards: 0", "Te: trailers", "Connection: X-Other",
}

// ofBoth are lines that tell pages apart.
var ofBoth = []string{"Cookie: lang=de", "Cookie: lang=de; ad2=3", "Accept: a/b", "X-Mine: 1", "X-Mine: 2", "User-Agent: me"}

// What Explain says of responses to random requests is what a proxy does for those that
// come next.
func TestExplanationOfARequestIsWhatAProxyDoes(t *testing.T) {
	shared, kept := 0, 0
	for seed := range uint64(1000) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		status, response := randomHeader(rnd)
		if rnd.IntN(3) > 0 {
			status, response = 200, append(response, "Cache-Control: max-age=9")
		}
		if rnd.IntN(10) == 0 {
			response = append(response, "Set-Cookie: ad3=1")
		}
		var own, both []string
		for range rnd.IntN(3) {
			own = append(own, ofRequests[rnd.IntN(len(ofRequests))])
		}
		for range rnd.IntN(3) {
			both = append(both, ofBoth[rnd.IntN(len(ofBoth))])
		}
		method := []string{"GET", "GET", "GET", "HEAD", "POST"}[rnd.IntN(5)]
		length := []int{0, 4, 4, 4, 2000}[rnd.IntN(5)]
		synctest.Test(t, func(t *testing.T) {
			x := requireExplainedRequest(t, method, own, both, status, response, length, rnd.IntN(4) == 0)
			shared, kept = shared+count(x.Shared), kept+count(x.Kept > 0)
		})
	}
	require.Greater(t, shared, 200)
	require.Greater(t, kept, 100)
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func requireExplainedRequest(t *testing.T, method string, own, both []string, status int, response []string, length int, private bool) Explanation {
	cache, err := New(&Options{
		TTL: 7 * time.Second, MaxObject: 1000, Private: private, Logger: slog.New(slog.DiscardHandler),
		KeyCookies: []string{"lang"}, IgnoreCookies: []string{"ad*"}, IgnoreSetCookies: []string{"ad*"},
	})
	require.NoError(t, err)
	defer cache.Close()
	var x Explanation
	asks := 0
	client := newRequest(t.Context(), method, "/page?q", append(append([]string{}, own...), both...)...)
	origin := viaHandler{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), response...)
		w.Header().Set("Content-Length", fmt.Sprint(length))
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("x", length))
	})}
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		asked := time.Now()
		res, err := origin.RoundTrip(r)
		if asks++; err == nil && asks == 1 {
			x = cache.Explain(client.Clone(t.Context()), res, asked)
		}
		return res, err
	})
	s := &site{front: cache.Proxy(&url.URL{Scheme: "http", Host: "origin.test"}, &ProxyOptions{Transport: transport}).(*front)}
	s.writeTo(httptest.NewRecorder(), client.Clone(t.Context()))
	synctest.Wait()
	what := fmt.Sprintf("%s %q %q: %d %q of %d, private %v:\n%v", method, own, both, status, response, length, private, x)
	if asks == 0 { // it was refused
		return x
	}
	if private && contains(own, "Authorization") { // which is not to be answered for others
		both = append(both, "Authorization: a")
	}
	r := s.request(method, "/page?q", both...)
	synctest.Wait() // a stale answer is renewed in the background
	require.Equal(t, x.Shared && x.Kept > 0 && x.Fresh > 0, asks == 1 && r.cache() == "hit", what)
	return x
}

func contains(lines []string, name string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line, name) {
			return true
		}
	}
	return false
}
