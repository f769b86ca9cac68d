package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A final response leaves informational ones out, which a recorder takes for it.
type final struct{ *httptest.ResponseRecorder }

func (w final) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseRecorder.WriteHeader(status)
	}
}

func TestAccessLogHasALineForEachRequest(t *testing.T) {
	at := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	l := &accessLog{out: &out, now: func() time.Time { at = at.Add(time.Millisecond); return at }}
	for _, test := range []struct {
		handler http.HandlerFunc
		line    string
	}{
		{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Cache", "hit")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "four")
		}, `404 4 "http://from/" "agent \"x\"\n" hit 0.001`},
		{func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "12") }, `200 2 "http://from/" "agent \"x\"\n" - 0.001`},
		{func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "1")
			panic(http.ErrAbortHandler)
		}, `200 1 "http://from/" "agent \"x\"\n" - 0.001 aborted`},
	} {
		out.Reset()
		l.Handler = test.handler
		r := httptest.NewRequest("GET", "/page?q=1", nil)
		r.Header = http.Header{"Referer": {"http://from/"}, "User-Agent": {"agent \"x\"\n"}}
		func() {
			defer func() { recover() }()
			l.ServeHTTP(final{httptest.NewRecorder()}, r)
		}()
		require.Regexp(t, `^192\.0\.2\.1 - - \[01/Dec/2026:12:00:00 \+0000\] "GET /page\?q=1 HTTP/1\.1" `, out.String())
		require.True(t, strings.HasSuffix(out.String(), test.line+"\n"), out.String())
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
	}
}

func TestLogAndMetricsOfTheServer(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }))
	defer origin.Close()
	out, status := &lines{make(chan string, 100)}, make(chan int, 1)
	go func() {
		status <- program.Run(ctx, []string{"-listen", "127.0.0.1:0", "-origin", origin.URL, "-ttl=1h",
			"-access-log", log, "-metrics", "127.0.0.1:0"}, out, out)
	}()
	_, metrics, ok := strings.Cut(<-out.c, "metrics: ")
	require.True(t, ok)
	url := addressIn(t, out)
	for range 3 {
		require.Equal(t, "page", get(url+"/a").body)
	}
	page := get(metrics)
	require.Equal(t, 200, page.status)
	for _, line := range []string{
		`dedupcache_requests_total{source="hit"} 2`, `dedupcache_requests_total{source="fetched"} 1`,
		"dedupcache_origin_requests_total 1", "# TYPE dedupcache_latency_seconds summary", "dedupcache_latency_seconds_count 3",
		"dedupcache_broken_total 0", "dedupcache_detached_total 0", "dedupcache_evicted_total 0", "# TYPE dedupcache_body_bytes gauge",
		"dedupcache_waiting_peak 1", "dedupcache_failed_total 0",
	} {
		require.Contains(t, page.body, line+"\n")
	}
	require.Equal(t, 404, get(strings.TrimSuffix(metrics, "metrics")).status)
	stop()
	require.Zero(t, <-status)
	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(content), "\n"))
	require.Equal(t, 2, strings.Count(string(content), " hit 0."))
}

// certificate writes a certificate for 127.0.0.1 and its key into files.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key, pool = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.True(t, pool.AppendCertsFromPEM(block))
	require.NoError(t, os.WriteFile(cert, block, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key, pool
}

func TestClientsSpeakHTTP2OverTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }),
		"-tls-cert", cert, "-tls-key", key)
	for _, v2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: v2}
		res, err := (&http.Client{Transport: transport}).Get(s.url)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, "page", string(body))
		require.Equal(t, v2, res.ProtoMajor == 2)
		transport.CloseIdleConnections()
	}
	s.end(t)
}

func TestBadCertificatesAreBadFlags(t *testing.T) {
	cert, key, _ := certificate(t)
	for flags, says := range map[string]string{
		"-tls-cert=" + cert:                     "-tls-cert needs -tls-key",
		"-tls-key=" + key:                       "-tls-key needs -tls-cert",
		"-tls-cert=" + cert + " -tls-key=/none": "no such file",
		"-tls-cert=" + key + " -tls-key=" + key: "-tls-cert " + key,
	} {
		args := append(strings.Fields(flags), "-listen=127.0.0.1:0", "-origin=http://127.0.0.1:1")
		status, _, stderr := runFor(t.Context(), args...)
		require.Equal(t, 2, status)
		require.Contains(t, stderr, says)
		requireOneLine(t, stderr)
	}
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := newLimitedListener(inner, 1)
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		client, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer client.Close()
	}
	first := <-accepted
	require.False(t, l.places.TryAcquire(1), "there is no place for the second")
	require.NoError(t, first.Close())
	require.Error(t, first.Close())
	second := <-accepted
	require.NoError(t, l.Close())
	_, open := <-accepted
	require.False(t, open, "Accept returns when the listener is closed, though there is no place")
	require.NoError(t, second.Close())
}
