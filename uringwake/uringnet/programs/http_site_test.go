package programs_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A kind is a way in which a client and a server talk HTTP.
type kind struct {
	name  string
	proto string
	tls   bool
}

var (
	http1  = kind{"HTTP1", "HTTP/1.1", false}
	https1 = kind{"HTTP1 TLS", "HTTP/1.1", true}
	https2 = kind{"HTTP2 TLS", "HTTP/2.0", true}
	h2c    = kind{"HTTP2", "HTTP/2.0", false}
	kinds  = []kind{http1, https1, https2, h2c}
)

func (k kind) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(k.proto == "HTTP/1.1" || k.tls) // with TLS the two ends choose
	p.SetHTTP2(k == https2)
	p.SetUnencryptedHTTP2(k == h2c)
	return p
}

// A site is an http.Server, and a client that sends every request to it.
type site struct {
	*http.Server
	listener net.Listener
	client   *http.Client
	url      string
	wait     func() error // what Serve returned
}

// serve starts a site. What the configure functions set takes effect before that.
func (w world) serve(t *testing.T, k kind, network string, h http.HandlerFunc, configure ...func(*http.Server, *http.Transport)) *site {
	t.Helper()
	forServer, forClient := tlsConfigs(t)
	l := w.newListener(t, network)
	transport := &http.Transport{DialContext: w.dialer(l), TLSClientConfig: forClient, Protocols: k.protocols()}
	s := &site{
		Server:   &http.Server{Handler: h, TLSConfig: forServer, Protocols: k.protocols(), ErrorLog: log.New(io.Discard, "", 0)},
		listener: l,
		client:   &http.Client{Transport: transport},
		url:      "http://" + host + "/",
	}
	for _, f := range configure {
		f(s.Server, transport)
	}
	run := func() error { return s.Serve(l) }
	if k.tls {
		s.url = "https://" + host + "/"
		run = func() error { return s.ServeTLS(l, "", "") }
	}
	s.start(t, run)
	return s
}

func (s *site) start(t *testing.T, run func() error) {
	result := make(chan error, 1)
	go func() { result <- run() }()
	s.wait = sync.OnceValue(func() error { return <-result })
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.Close()
		require.ErrorIs(t, s.wait(), http.ErrServerClosed)
	})
}

// inKinds runs f for each of the kinds, all at the same time.
func inKinds(t *testing.T, kinds []kind, f func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f(t, k)
		})
	}
}
