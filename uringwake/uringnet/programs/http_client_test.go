package programs_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHTTPClientTimeouts has a server that says nothing, after some bytes or at once.
func TestHTTPClientTimeouts(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			silence := func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/begin" {
					io.WriteString(rw, "begin")
					http.NewResponseController(rw).Flush()
				}
				untilGone(r)
			}
			s := w.serve(t, k, "tcp", silence, func(_ *http.Server, tr *http.Transport) { tr.ResponseHeaderTimeout = 10 * short })
			_, err := s.client.Get(s.url)
			requireTimeout(t, err)
			s.client.Timeout = 10 * short // includes the body
			resp, err := s.client.Get(s.url + "begin")
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			requireTimeout(t, err)
		})
	})
}

func requireTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "%v", err)
}

// TestHTTPHandshake ends handshakes with somebody who says nothing: by a timeout, and
// by a cancel.
func TestHTTPHandshake(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		_, forClient := tlsConfigs(t)
		l := w.newListener(t, "tcp")
		tr := &http.Transport{DialContext: w.dialer(l), TLSClientConfig: forClient, TLSHandshakeTimeout: short}
		client := &http.Client{Transport: tr}
		_, err := client.Get("https://" + host)
		requireTimeout(t, err)

		tr.TLSHandshakeTimeout = 0
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", "https://"+host, nil)
		require.NoError(t, err)
		go func() {
			conn, err := l.Accept() // the former one
			if err == nil {
				defer conn.Close()
				conn, err = l.Accept()
			}
			if err == nil {
				defer conn.Close()
				conn.Read(make([]byte, 1)) // the client has begun
			}
			cancel()
		}()
		_, err = client.Do(req)
		require.ErrorIs(t, err, context.Canceled)
	})
}
