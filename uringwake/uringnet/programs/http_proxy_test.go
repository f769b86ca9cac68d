package programs_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxyTo starts a site that forwards all requests to the origin.
func (w world) proxyTo(t *testing.T, k kind, origin *site) *site {
	t.Helper()
	target, err := url.Parse(origin.url)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     origin.client.Transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	return w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
		// Without this the server closes the body at the first byte of the response,
		// while the transport may still look for the body's end: it would break off.
		http.NewResponseController(rw).EnableFullDuplex()
		proxy.ServeHTTP(rw, r)
	})
}

func TestHTTPReverseProxy(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			origin := w.serve(t, k, "unix", echo)
			requests(t, w.proxyTo(t, k, origin), k)
		})
	})
}

func TestHTTPReverseProxyLargeBody(t *testing.T) {
	const size = 2 << 20
	want, _, err := hash(newStream(4, size))
	require.NoError(t, err)
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, []kind{http1, https2}, func(t *testing.T, k kind) {
			origin := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				got, _, err := hash(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, want, got)
				io.Copy(rw, newStream(4, size))
			})
			proxy := w.proxyTo(t, k, origin)
			resp, err := proxy.client.Post(proxy.url, "", newStream(4, size))
			require.NoError(t, err)
			defer resp.Body.Close()
			got, _, err := hash(resp.Body)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	})
}

// TestHTTPReverseProxyUpgrade goes through a proxy that copies both directions.
func TestHTTPReverseProxyUpgrade(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, []kind{http1, https1}, func(t *testing.T, k kind) {
			talkUpgraded(t, w.proxyTo(t, k, w.serve(t, k, "tcp", upgrade)))
		})
	})
}

// TestHTTPReverseProxyCancel breaks a response off: the origin, too, sees it.
func TestHTTPReverseProxyCancel(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			left := make(chan struct{})
			proxy := w.proxyTo(t, k, w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				io.Copy(rw, endless{})
				defer close(left)
				untilGone(r)
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", proxy.url, nil)
			require.NoError(t, err)
			resp, err := proxy.client.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
			require.NoError(t, err)
			cancel()
			_, err = io.Copy(io.Discard, resp.Body)
			require.ErrorIs(t, err, context.Canceled)
			<-left
		})
	})
}
