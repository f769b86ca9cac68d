package vigildebug_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitmap"
)

func TestOnlyGetAndHead(t *testing.T) {
	var r vigildebug.Registry
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"} {
		for _, path := range []string{"/debug/vigil/", "/debug/vigil/json"} {
			w := httptest.NewRecorder()
			req := httptest.NewRequest("GET", path, nil)
			req.Method = method
			r.Handler().ServeHTTP(w, req)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"), method)
			requireProtected(t, w.Header())
		}
	}
}

func TestHead(t *testing.T) {
	var r vigildebug.Registry
	for _, path := range []string{"/debug/vigil/", "/debug/vigil/json"} {
		get, head := ask(&r, "GET", path), ask(&r, "HEAD", path)
		require.Equal(t, http.StatusOK, head.Code)
		require.Zero(t, head.Body.Len())
		require.Equal(t, get.Header().Get("Content-Type"), head.Header().Get("Content-Type"))
		require.Equal(t, strconv.Itoa(get.Body.Len()), get.Header().Get("Content-Length"))
		require.NotEmpty(t, head.Header().Get("Content-Length"))
		requireProtected(t, get.Header())
		requireProtected(t, head.Header())
	}
}

func requireProtected(t *testing.T, h http.Header) {
	t.Helper()
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.Regexp(t, `^default-src 'none'; `, h.Get("Content-Security-Policy"))
	for _, must := range []string{"connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		require.Contains(t, h.Get("Content-Security-Policy"), must)
	}
	require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe")
}

// TestPolicyFitsThePage: the policy's hashes are those of the page's one style
// and one script, which nothing else in the page evades.
func TestPolicyFitsThePage(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	defer vigildebug.Map("m", &m, vigildebug.In(&r))()
	w := ask(&r, "GET", "/debug/vigil/")
	policy, html := w.Header().Get("Content-Security-Policy"), w.Body.String()
	for _, element := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(html, -1)
		require.Len(t, found, 1)
		sum := sha256.Sum256([]byte(found[0][1]))
		require.Contains(t, policy, element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	rest := inline.ReplaceAllString(html, "")
	require.NotRegexp(t, `(?i)\sstyle=|\son[a-z]+=|javascript:|<script|<style|https?:|src=`, rest)
}

func TestPaths(t *testing.T) {
	var r vigildebug.Registry
	isJSON := func(w *httptest.ResponseRecorder) bool { return w.Header().Get("Content-Type") == "application/json" }
	require.False(t, isJSON(ask(&r, "GET", "/debug/vigil/")))
	require.True(t, isJSON(ask(&r, "GET", "/debug/vigil/json")))
	require.True(t, isJSON(ask(&r, "GET", "/debug/vigil/?format=json")))
	require.Equal(t, http.StatusNotFound, ask(&r, "GET", "/debug/vigil/favicon.ico").Code)

	for _, prefix := range []string{"/x", "/x/"} {
		w := httptest.NewRecorder()
		http.StripPrefix(prefix, r.Handler()).ServeHTTP(w, httptest.NewRequest("GET", "/x/", nil))
		require.Equal(t, http.StatusOK, w.Code)
		w = httptest.NewRecorder()
		http.StripPrefix(prefix, r.Handler()).ServeHTTP(w, httptest.NewRequest("GET", "/x/json", nil))
		require.True(t, isJSON(w))
	}
}

func TestDefaultRegistry(t *testing.T) {
	var m waitmap.Map[string, int]
	defer vigildebug.Map("of the default registry", &m)()
	require.Len(t, vigildebug.Default().Snapshot().Things, 1)
	w := httptest.NewRecorder()
	vigildebug.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/vigil/", nil))
	require.Contains(t, w.Body.String(), "of the default registry")
}

// A slow client takes nothing until it is told to.
type slow struct {
	http.ResponseWriter
	ready chan struct{}
}

func (s slow) Write(p []byte) (int, error) {
	<-s.ready
	return s.ResponseWriter.Write(p)
}

// TestSlowClientHoldsNothing: while an answer is stuck, things come, go, and
// are read and used.
func TestSlowClientHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var m waitmap.Map[string, int]
		unregister := vigildebug.Map("m", &m, vigildebug.In(&r))
		f := m.Register("k", nil)
		for _, path := range []string{"/debug/vigil/", "/debug/vigil/json"} {
			client := slow{httptest.NewRecorder(), make(chan struct{})}
			go r.Handler().ServeHTTP(client, httptest.NewRequest("GET", path, nil))
			synctest.Wait() // it writes
			vigildebug.Map("other", &m, vigildebug.In(&r))()
			require.Len(t, r.Snapshot().Things, 1)
			require.Contains(t, page(t, &r), "map")
			close(client.ready)
			synctest.Wait()
			require.Contains(t, client.ResponseWriter.(*httptest.ResponseRecorder).Body.String(), `m`)
		}
		unregister()
		m.Store("k", 1)
		_, done, _ := f.Result()
		require.True(t, done)
	})
}
