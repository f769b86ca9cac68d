package httpcache

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRawRequest sends bytes to a server that records what it makes of them, and
// to a proxy before an origin that does. The origin must see the requests that
// the server sees, one time each, in their order, with the same method, path
// and body; but for those that the proxy refuses.
func FuzzRawRequest(f *testing.F) {
	for _, test := range rawRequests {
		f.Add([]byte(test.raw))
	}
	origin := new(recorder)
	w := newWire(f, origin, nil, nil)
	f.Fuzz(func(t *testing.T, raw []byte) {
		direct := new(witness)
		talk(t, direct, raw)
		before := len(origin.seen())
		talk(t, w.front, raw)
		requireSeen(t, direct.got, origin.seen()[before:])
	})
}

// requireSeen fails the test unless got, of the origin behind /base, is what the
// requests of want are, less some of those that may be refused or are answered
// by the proxy.
func requireSeen(t *testing.T, want []seenRequest, got []string) {
	for _, r := range want {
		line := strings.TrimSpace(r.method + " /base" + r.uri + " " + r.body)
		if len(got) > 0 && got[0] == line {
			got = got[1:]
			continue
		}
		require.True(t, r.mayBeRefused, "%q did not reach the origin, but %q", line, got)
	}
	require.Empty(t, got, "the origin saw what was not sent")
}

// A seenRequest is one that a server got whole.
type seenRequest struct {
	method, uri, body string
	mayBeRefused      bool
}

// A witness is a server that notes what it gets.
type witness struct{ got []seenRequest }

func (o *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	uri := r.URL.RequestURI()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	counted := isForProxies(r) && len(r.Header["Max-Forwards"]) > 0
	says := strings.ToLower(r.Header.Get("Cache-Control") + r.Host + r.URL.Path)
	o.got = append(o.got, seenRequest{r.Method, uri, string(body),
		counted || !strings.HasPrefix(r.URL.Path, "/") || strings.Contains(says, "only-if-cached") ||
			strings.Contains(says, "..") || strings.Contains(says, "%") || strings.ContainsAny(r.Host, "/@#?,;'\"\\<>^`{|} ")})
}

// talk lets h serve a connection on which raw comes, to its end.
func talk(t *testing.T, h http.Handler, raw []byte) {
	c := newScript(raw)
	l := newPipeNet()
	s := serveOn(t, l, c.around(h))
	l.conns <- c
	<-c.done
	s.Close()
	l.Close()
}

// A script is a connection on which bytes come, and then nothing: it ends when
// the server waits for more, unless that is to learn whether its client is
// still there.
type script struct {
	net.Conn // nil
	mu       sync.Mutex
	changed  *sync.Cond
	in       []byte
	busy     int // handlers
	late     bool
	done     chan struct{}
	end      func()
}

func newScript(in []byte) *script {
	c := &script{in: in, done: make(chan struct{})}
	c.changed = sync.NewCond(&c.mu)
	c.end = sync.OnceFunc(func() { close(c.done) })
	return c
}

func (c *script) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.add(1)
		defer c.add(-1)
		h.ServeHTTP(w, r)
	})
}

func (c *script) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy += n
	c.changed.Broadcast()
}

// Read reads all that is left. Just before it calls a handler, and while that
// runs, the server reads one byte to learn whether the client is there. Nearly
// all other reads are longer, and those of one byte end when no handler comes.
func (c *script) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) == 0 && len(p) == 1 {
		nobody := false
		timer := time.AfterFunc(10*time.Second, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			nobody = c.busy == 0
			c.changed.Broadcast()
		})
		defer timer.Stop()
		for !c.late && !nobody {
			c.changed.Wait()
		}
	}
	if len(c.in) == 0 && c.late {
		return 0, timeout{}
	}
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

type timeout struct{}

func (timeout) Error() string   { return "timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func (c *script) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = !at.IsZero() && at.Before(time.Now())
	c.changed.Broadcast()
	return nil
}

func (c *script) Write(p []byte) (int, error)      { return len(p), nil }
func (c *script) SetDeadline(at time.Time) error   { return c.SetReadDeadline(at) }
func (c *script) SetWriteDeadline(time.Time) error { return nil }
func (c *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 80} }
func (c *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234} }

func (c *script) Close() error {
	c.mu.Lock()
	c.late = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.end()
	return nil
}
