package httpcache

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A pipeNet is a listener whose connections are in memory, so that servers can
// live in a bubble.
type pipeNet struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newPipeNet() *pipeNet {
	n := &pipeNet{conns: make(chan net.Conn), done: make(chan struct{})}
	n.close = sync.OnceFunc(func() { close(n.done) })
	return n
}

func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

func (n *pipeNet) Close() error   { n.close(); return nil }
func (n *pipeNet) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (n *pipeNet) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.conns <- there:
		return here, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

// serveOn serves h at n until the test ends.
func serveOn(t testing.TB, n *pipeNet, h http.Handler) *http.Server {
	return serve(t, n, &http.Server{Handler: h})
}

func serve(t testing.TB, n *pipeNet, s *http.Server) *http.Server {
	s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(n) }()
	t.Cleanup(func() { s.Close(); n.Close(); <-done })
	return s
}

// A wire is a proxy between two connections: what clients send and origins get
// are the bytes of HTTP.
type wire struct {
	*Cache
	front *front
	net   *pipeNet
	log   *notes
}

func newWire(t testing.TB, origin http.Handler, o *Options, po *ProxyOptions) *wire {
	behind := newPipeNet()
	serveOn(t, behind, origin)
	transport := &http.Transport{DialContext: behind.dial, DisableCompression: true}
	if po == nil {
		po = new(ProxyOptions)
	}
	if o == nil {
		o = new(Options)
	}
	log := new(notes)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	po.Transport = transport
	cache, err := New(o)
	require.NoError(t, err)
	w := &wire{cache, cache.Proxy(&url.URL{Scheme: "http", Host: "origin.test", Path: "/base"}, po).(*front), newPipeNet(), log}
	t.Cleanup(func() { require.NoError(t, cache.Close()); transport.CloseIdleConnections() })
	serveOn(t, w.net, w.front)
	return w
}

// A call is one connection of a client.
type call struct {
	net.Conn
	in *bufio.Reader
}

func (w *wire) call(t testing.TB) *call {
	c, err := w.net.dial(context.Background(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &call{c, bufio.NewReader(c)}
}

// send writes lines that end with CR LF, and a last empty one. It does not wait
// for them to be read.
func (c *call) send(lines ...string) *call {
	go io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n")
	return c
}

// answer reads the header of the next answer to a request of a method.
func (c *call) answer(t testing.TB, method string) *http.Response {
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	require.NoError(t, err)
	return res
}

// whole reads the next answer.
func (c *call) whole(t testing.TB, method string) reply {
	res := c.answer(t, method)
	body, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(body), err: err}
}
