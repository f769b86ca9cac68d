package httpcache

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What the server has read of the next request is not there for its connection, which
// must not take what follows for the beginning of one.

// A body that looks like a request is a body.
func TestBodyOfAPipelinedRequestIsNotAnsweredQuickly(t *testing.T) {
	began := make(chan bool)
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Method == http.MethodPost {
			began <- true
		}
		b, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+string(b))
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	post := "POST /post HTTP/1.1\r\nHost: here\r\nContent-Length: " + strconv.Itoa(len(plain)) + "\r\n\r\n"
	c.send(t, head("GET /other HTTP/1.1", "Host: here")+post)
	require.Equal(t, "GET", c.answer(t).body)
	<-began // the server has all that was sent
	c.send(t, plain)
	require.Equal(t, "POST"+plain, c.answer(t).body)
	require.Zero(t, q.hits.Load())
}

// A hit does not overtake a request that the server has read with the one before.
func TestHitDoesNotOvertakeAPipelinedRequest(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/slow" {
			asked <- true
			<-answer
		}
		io.WriteString(w, r.URL.Path)
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	c.send(t, head("GET /other HTTP/1.1", "Host: here")+head("GET /slow HTTP/1.1", "Host: here"))
	require.Equal(t, "/other", c.answer(t).body)
	<-asked
	c.send(t, plain)
	other := q.dial(t)
	other.send(t, plain)
	require.Equal(t, "/page", other.answer(t).body)
	close(answer)
	require.Equal(t, "/slow", c.answer(t).body)
	require.Equal(t, "/page", c.answer(t).body)
}

// While a handler runs, the server reads one byte to see whether the client is there. What
// follows that byte is not the beginning of a request.
func TestByteThatTheServerHasBelongsToTheRequestBehindIt(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	q := newQuick(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/slow" {
			asked <- true
			<-answer
		}
		io.WriteString(w, r.Method)
	})
	c := q.dial(t)
	q.fill(t, c, plain)
	c.send(t, head("GET /slow HTTP/1.1", "Host: here"))
	<-asked
	c.send(t, "X"+plain) // whose method is XGET
	other := q.dial(t)
	other.send(t, plain)
	require.Equal(t, "GET", other.answer(t).body)
	close(answer)
	require.Equal(t, "GET", c.answer(t).body)
	require.Equal(t, "XGET", c.answer(t).body)
}

// newQuickConn returns a connection of a server whose proxy keeps the page of plain.
func newQuickConn(t *testing.T, c net.Conn, server *http.Server) *quickConn {
	return newQuickConnOf(c, &quickListener{front: newQuickFront(t).front, server: server})
}

// newQuickFront returns a proxy that keeps the page of plain.
func newQuickFront(t *testing.T) *site {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		io.WriteString(w, string(b)+"page")
	})
	get := newRequest(t.Context(), "GET", "/page?q")
	get.Host = "here"
	s.writeTo(httptest.NewRecorder(), get)
	synctest.Wait()
	return s
}

// A quickPipe is a server with QuickHits on connections in memory, whose proxy keeps the
// page of plain.
type quickPipe struct {
	*site
	server *http.Server
	net    *pipeNet
}

func newQuickPipe(t *testing.T, server *http.Server) *quickPipe {
	q := &quickPipe{newQuickFront(t), server, newPipeNet()}
	server.Handler, server.ErrorLog = q.front, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	quickly := QuickHits(server, q.net, q.front, nil)
	done := make(chan bool)
	go func() { defer close(done); server.Serve(quickly) }()
	t.Cleanup(func() { server.Close(); <-done })
	return q
}

func (q *quickPipe) call(t *testing.T) *call {
	c, err := q.net.dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &call{c, bufio.NewReader(c)}
}

// A brokenConn fails its first write, half-way.
type brokenConn struct {
	readingConn
	writes int
	closed atomic.Bool
}

func (c *brokenConn) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 1 {
		return len(p) / 2, errors.New("timeout")
	}
	return len(p), nil
}

func (c *brokenConn) Close() error { c.closed.Store(true); return nil }

func (c *brokenConn) Read(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	return c.readingConn.Read(p)
}

// What follows half an answer would be taken for its rest.
func TestNothingFollowsAnAnswerThatBrokeOff(t *testing.T) {
	for _, input := range [][]string{{plain + plain, plain}, {plain, plain}} {
		synctest.Test(t, func(t *testing.T) {
			c := &brokenConn{readingConn: readingConn{input: input}}
			q := newQuickConn(t, c, &http.Server{})
			_, err := q.Read(make([]byte, 4096))
			require.ErrorIs(t, err, net.ErrClosed)
			require.Equal(t, 1, c.writes)
			require.True(t, c.closed.Load())
		})
	}
}

// A client that takes nothing is cut off after the server's time for an answer.
func TestQuickAnswerHasTheTimeOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		q := newQuickConn(t, there, &http.Server{WriteTimeout: time.Minute})
		go io.WriteString(here, plain)
		start := time.Now()
		_, err := q.Read(make([]byte, 4096))
		require.Error(t, err)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

// The time for a request begins when that comes, not with the hits before it.
func TestTimeForTheRequestAfterQuickAnswersBeginsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuickPipe(t, &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute})
		c := q.call(t)
		for range 3 {
			io.WriteString(c, plain)
			require.Equal(t, "page", c.whole(t, "GET").body)
			time.Sleep(6 * time.Second)
		}
		io.WriteString(c, head("POST /page HTTP/1.1", "Host: here", "Content-Length: 5"))
		time.Sleep(9 * time.Second)
		io.WriteString(c, "body ")
		require.Equal(t, "body page", c.whole(t, "POST").body)
		require.EqualValues(t, 3, q.Stats().Hits)

		io.WriteString(c, head("POST /page HTTP/1.1", "Host: here", "Content-Length: 5"))
		time.Sleep(11 * time.Second)
		require.Equal(t, http.StatusRequestTimeout, c.whole(t, "POST").status)
	})
}

// A short time for idle connections begins anew with each answer, too.
func TestShortIdleTimeBeginsAnewWithEachQuickAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		q := newQuickConn(t, there, &http.Server{IdleTimeout: 100 * time.Millisecond})
		go func() {
			k := &call{here, bufio.NewReader(here)}
			for range 5 {
				io.WriteString(here, plain)
				k.whole(t, "GET")
				time.Sleep(80 * time.Millisecond)
			}
			io.WriteString(here, "POST")
		}()
		p := make([]byte, 4096)
		n, err := q.Read(p)
		require.NoError(t, err)
		require.Equal(t, "POST", string(p[:n]))
	})
}

// A host that net/http refuses is not looked for. Two that trusted proxies speak for are
// kept apart with a space.
func TestHostThatIsNoneIsNotAnsweredQuickly(t *testing.T) {
	for _, host := range []string{"here here", "a/b", "a@b", `a"b`, "a,b", "a<b", "a;b", "a\\b", "a{b", "a?b", "a#b", "a|b", "a^b", "a`b", "a'b"} {
		r, _ := parseQuick([]byte(strings.Replace(plain, "Host: here", "Host: "+host, 1)))
		require.Nil(t, r, host)
	}
	for _, host := range []string{"here", "Here.test:80", "127.0.0.1:1", "[::1]:80", "a_b", "xn--a"} {
		r, _ := parseQuick([]byte(strings.Replace(plain, "Host: here", "Host: "+host, 1)))
		require.NotNil(t, r, host)
	}
}

// A connection that the server has not seen a request of is no idle one, for some time.
func TestQuickAnswerDuringShutdownIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuickPipe(t, &http.Server{})
		c := q.call(t)
		io.WriteString(c, plain)
		require.Equal(t, "page", c.whole(t, "GET").body)
		done := make(chan error, 1)
		go func() { done <- q.server.Shutdown(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		io.WriteString(c, plain)
		r := c.answer(t, "GET")
		require.True(t, r.Close)
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.Equal(t, "page", string(b))
		_, err = c.in.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, <-done)
		require.Less(t, time.Since(start), time.Second)
	})
}

// A stuckConn takes nothing, whatever its deadline.
type stuckConn struct {
	net.Conn
	begun, closed chan bool
	end           sync.Once
}

func (c *stuckConn) Write([]byte) (int, error) {
	close(c.begun)
	<-c.closed
	return 0, net.ErrClosed
}

func (c *stuckConn) SetWriteDeadline(time.Time) error { return nil }
func (c *stuckConn) Close() error                     { c.end.Do(func() { close(c.closed) }); return nil }

func TestCloseEndsAnAnswerThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &stuckConn{begun: make(chan bool), closed: make(chan bool)}
		q := newQuickConnOf(c, &quickListener{server: &http.Server{}})
		go q.write(&quickAnswer{parts: [][]byte{[]byte("answer")}}, false)
		<-c.begun
		start := time.Now()
		require.NoError(t, q.Close())
		require.NoError(t, q.Close())
		<-c.closed
		require.Equal(t, lastWrite, time.Since(start))
	})
}

// net/http leaves out a field whose name is none. Only a transport of one's own brings it.
func TestFieldWithoutATokenForANameIsNotWrittenQuickly(t *testing.T) {
	for _, name := range []string{"X Y", "X:Y", "", "X\r\nY"} {
		e := &response{header: http.Header{name: {"z"}, "X-Other": {"z"}}}
		require.Nil(t, e.quickHead(), "%q", name)
	}
	e := &response{header: http.Header{"X_y!#$%&'*+.^`|~9": {"z"}}}
	require.Contains(t, string(e.quickHead()), "~9: z\r\n")
}
