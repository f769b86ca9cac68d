package httpcache

import (
	"bytes"
	"cmp"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// QuickHits returns a listener for server, whose handler is h or has h in it, and which
// is to serve l. h is from [Cache.Proxy]. Connections of the listener answer requests for small
// pages that are kept and fresh before the server sees them, with the same bytes as h
// would but for the order of the fields. That takes much less time than the server
// does for a request, and it happens only if a request is as plain as most are: GET, HTTP/1.1
// without TLS, only fields that browsers send without being asked to, and no byte
// that could be read in two ways. All else goes to the server.
//
// Handlers around h do not see these requests; answered, unless it is nil, is called
// after each of them, by the goroutine of its connection, with the time that it took.
// An answer that is being written when the server shuts down or closes has 5 s to
// come to its end.
//
// The server's timeouts hold for these requests. Its ConnState is not told of them, and
// SetKeepAlivesEnabled does not reach the connections on which there were no others. The
// listener is for Serve, not for ServeTLS.
//
// QuickHits sets server.ConnState, and calls the function that was there. It panics if h
// is not from Proxy.
func QuickHits(server *http.Server, l net.Listener, h http.Handler, answered func(time.Duration)) net.Listener {
	f, ok := h.(*front)
	if !ok || f.origin == nil {
		panic("httpcache: QuickHits needs a handler from Proxy")
	}
	before := server.ConnState
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if q, ok := c.(*quickConn); ok && state == http.StateIdle {
			q.turn.Store(afterRequest)
		}
		if before != nil {
			before(c, state)
		}
	}
	quickly := &quickListener{Listener: l, front: f, server: server, answered: answered}
	server.RegisterOnShutdown(func() { quickly.stopping.Store(true) })
	return quickly
}

type quickListener struct {
	net.Listener
	front    *front
	server   *http.Server
	answered func(time.Duration)
	stopping atomic.Bool // the server shuts down
}

func (l *quickListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newQuickConnOf(c, l), nil
}

func newQuickConnOf(c net.Conn, l *quickListener) *quickConn {
	q := &quickConn{Conn: c, of: l}
	q.turn.Store(beforeAll)
	return q
}

// A quickConn looks at what comes while its server has read nothing that it has not
// answered. See turn.
type quickConn struct {
	net.Conn
	of      *quickListener
	turn    atomic.Int32
	room    int    // that the server has for what it reads while it has nothing
	rest    []byte // of what was read, what the server has not got
	buf     []byte
	used    bool // a request was answered since the server set the deadline
	renewed time.Time
	begun   time.Time // when the server got its first request, if others came before it

	mu      sync.Mutex
	writing bool // an answer
	over    bool // nothing may follow it
	closed  bool // while one was being written
	cut     *time.Timer
}

// The turns of a connection. That its server is idle does not say that it waits for the
// connection: it may have read several requests at once. It sets a deadline before it
// waits, and another one once it has the beginning of a request. If that has come
// before, the two follow each other; if a part of it has, there is less room for
// the rest.
const (
	ofServer     int32 = iota // to read a request, or what follows it
	beforeAll                 // nothing has gone to the server yet
	afterRequest              // the server is idle
	beforeNext                // and waits, or will see that it has a request
)

// isBetween reports whether what comes next, for which the server has some room, is the
// beginning of a request.
func (q *quickConn) isBetween(room int) bool {
	switch q.turn.Load() {
	case beforeAll:
		q.room = room
		return true
	case beforeNext:
		if room == q.room {
			return true
		}
		q.turn.Store(ofServer)
	}
	return false
}

// SetReadDeadline is called by the server. The time for a whole request is that of the
// first one, as far as the server knows, from when the connection was there.
func (q *quickConn) SetReadDeadline(t time.Time) error {
	if !q.turn.CompareAndSwap(beforeNext, ofServer) {
		q.turn.CompareAndSwap(afterRequest, beforeNext)
	}
	if begun := q.begun; !begun.IsZero() {
		q.begun = time.Time{}
		if !t.IsZero() {
			t = begun.Add(q.of.server.ReadTimeout)
		}
	}
	return q.Conn.SetReadDeadline(t)
}

// maxQuickHead is how many bytes a request may have that is answered quickly, and
// maxQuickBody the body of its answer.
const (
	maxQuickHead = 4 << 10
	maxQuickBody = 64 << 10
)

func (q *quickConn) Read(p []byte) (int, error) {
	for {
		if len(q.rest) > 0 {
			n := copy(p, q.rest)
			q.rest = q.rest[n:]
			return n, nil
		}
		if !q.isBetween(len(p)) {
			return q.Conn.Read(p)
		}
		if q.buf == nil {
			q.buf = make([]byte, maxQuickHead)
		}
		n, err := q.Conn.Read(q.buf)
		if n == 0 {
			return 0, err
		}
		q.rest = q.answerAll(q.buf[:n])
		if len(q.rest) > 0 {
			q.handOver()
		}
	}
}

// answerAll answers requests at the beginning of data, and returns what the server
// is to read.
func (q *quickConn) answerAll(data []byte) (rest []byte) {
	for len(data) > 0 {
		start := time.Now()
		size, ok := q.answer(data)
		if !ok {
			return data
		}
		if q.over {
			return nil
		}
		data = data[size:]
		q.stayOpen(start)
		if q.of.answered != nil {
			q.of.answered(time.Since(start))
		}
	}
	return nil
}

// stayOpen lets the time in which a connection may be idle begin anew. Now and then is
// enough.
func (q *quickConn) stayOpen(now time.Time) {
	limit := cmp.Or(q.of.server.IdleTimeout, q.of.server.ReadTimeout)
	if q.used && now.Sub(q.renewed) < time.Second && (limit <= 0 || limit > 10*time.Second) {
		return
	}
	q.used, q.renewed = true, now
	q.Conn.SetReadDeadline(deadline(now, limit))
}

// handOver lets the server read. It has set the time for a header when the
// connection was idle, which may be long ago.
func (q *quickConn) handOver() {
	isFirst := q.turn.Swap(ofServer) == beforeAll
	if !q.used {
		return
	}
	q.used = false
	now := time.Now()
	if isFirst {
		q.begun = now
	}
	q.Conn.SetReadDeadline(deadline(now, cmp.Or(q.of.server.ReadHeaderTimeout, q.of.server.ReadTimeout)))
}

// deadline returns when a time limit is over that begins now; it is none if it is not
// positive.
func deadline(now time.Time, limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	return now.Add(limit)
}

// lastWrite is how long an answer may take whose connection is closed meanwhile.
const lastWrite = 5 * time.Second

// Close lets an answer that is being written come to its end, but does not wait for
// that: a server that shuts down takes the connection for idle, and has a lock. The
// connection may have deadlines of its own, so it is closed in any case.
func (q *quickConn) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.writing {
		return q.Conn.Close()
	}
	if !q.closed {
		q.closed, q.cut = true, time.AfterFunc(lastWrite, func() { q.Conn.Close() })
	}
	return q.Conn.SetWriteDeadline(time.Now().Add(lastWrite))
}

// write writes an answer. If it is not written whole, or is the last one, the next Read
// fails.
func (q *quickConn) write(b []byte, last bool) {
	q.mu.Lock()
	q.writing = true
	if limit := q.of.server.WriteTimeout; limit > 0 {
		q.Conn.SetWriteDeadline(time.Now().Add(limit))
	}
	q.mu.Unlock()
	n, err := q.Conn.Write(b)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
	if q.cut != nil {
		q.cut.Stop()
	}
	if q.over = q.closed || last || err != nil || n < len(b); q.over {
		q.Conn.Close()
	}
}

// CloseWrite lets net/http say goodbye before it hangs up.
func (q *quickConn) CloseWrite() error {
	if half, ok := q.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

var quickBuffers = sync.Pool{New: func() any { return new([]byte) }}

// answer answers the request at the beginning of data, and returns its size. It
// returns false, and has written nothing, if that is for the server to do.
func (q *quickConn) answer(data []byte) (size int, ok bool) {
	r, size := parseQuick(data)
	if r == nil {
		return 0, false
	}
	r.RemoteAddr = q.Conn.RemoteAddr().String()
	f := q.of.front
	a, url := f.newAsk(r, nil), f.keyOf(http.MethodGet, r)
	a.written = f.writes.last(url.uri)
	_, e := f.pages.kept(url, a)
	if e == nil || !e.isQuick() || !e.freshFor(a, time.Now()) || !e.body.open() {
		return 0, false
	}
	defer e.body.release()
	e.body.visit()
	f.stats.requests.Add(1)
	f.stats.from[hit].Add(1)
	buf := quickBuffers.Get().(*[]byte)
	last := q.of.stopping.Load()
	*buf = f.appendAnswer((*buf)[:0], a, e, last)
	q.write(*buf, last)
	quickBuffers.Put(buf)
	return size, true
}

// isQuick reports whether the response is one that a quickConn answers by.
func (e *response) isQuick() bool {
	return e.status == http.StatusOK && e.body != nil && e.body.whole.Load() && e.body.length <= maxQuickBody &&
		e.trailer.isEmpty() && !e.personal && e.quickHead() != nil
}

// appendAnswer appends what answers a, by e; it may be the last answer of its connection.
func (f *front) appendAnswer(b []byte, a *ask, e *response, last bool) []byte {
	b = append(b, e.quickHead()...)
	b = appendField(b, "X-Cache", hit.String())
	b = appendField(b, "Age", e.age())
	b = appendField(b, "Content-Length", e.body.field[0])
	b = appendField(b, "Cache-Status", e.above+f.fateOf(a, e, hit).line(f.name))
	if last {
		b = appendField(b, "Connection", "close")
	}
	b = append(b, "\r\n"...)
	for _, c := range e.body.chunks {
		b = append(b, c.data...)
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// quickHead returns the first lines of all answers by e, which are made once; nil if
// they cannot be written as they are.
func (e *response) quickHead() []byte {
	if head := e.head.Load(); head != nil {
		return *head
	}
	head := []byte("HTTP/1.1 200 OK\r\n")
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range e.header {
			if !yield(name) {
				return
			}
		}
	}) {
		for _, value := range e.header[name] {
			if name == "Content-Length" {
				continue
			}
			if strings.ContainsAny(name+value, "\r\n\x00") || strings.TrimSpace(value) != value || name == "" {
				head = nil
				e.head.Store(&head)
				return nil
			}
			head = appendField(head, name, value)
		}
	}
	e.head.Store(&head)
	return head
}

// quickFields are the fields that a request may have, each once.
var quickFields = map[string]string{
	"host": "Host", "user-agent": "User-Agent", "accept": "Accept", "accept-encoding": "Accept-Encoding",
	"accept-language": "Accept-Language", "referer": "Referer", "dnt": "Dnt", "priority": "Priority",
	"upgrade-insecure-requests": "Upgrade-Insecure-Requests", "connection": "Connection",
	"sec-fetch-dest": "Sec-Fetch-Dest", "sec-fetch-mode": "Sec-Fetch-Mode", "sec-fetch-site": "Sec-Fetch-Site",
	"sec-fetch-user": "Sec-Fetch-User", "sec-ch-ua": "Sec-Ch-Ua", "sec-ch-ua-mobile": "Sec-Ch-Ua-Mobile",
	"sec-ch-ua-platform": "Sec-Ch-Ua-Platform",
}

var headEnd, lineEnd = []byte("\r\n\r\n"), []byte("\r\n")

// parseQuick returns the request at the beginning of data, and its size; nil if there
// is none that is whole and plain.
func parseQuick(data []byte) (r *http.Request, size int) {
	end := bytes.Index(data, headEnd)
	if end < 0 || !isPlain(data[:end]) {
		return nil, 0
	}
	line, fields, _ := bytes.Cut(data[:end], lineEnd)
	uri, ok := bytes.CutPrefix(line, []byte("GET /"))
	if !ok {
		return nil, 0
	}
	if uri, ok = bytes.CutSuffix(uri, []byte(" HTTP/1.1")); !ok || !isPlainPath(uri) {
		return nil, 0
	}
	r = &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RequestURI: "/" + string(uri), Header: make(http.Header, 8), Body: http.NoBody,
	}
	path, query, asked := strings.Cut(r.RequestURI, "?")
	r.URL = &url.URL{Path: path, RawQuery: query, ForceQuery: asked && query == ""}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, lineEnd)
		if !addQuick(r, line) {
			return nil, 0
		}
	}
	if r.Host == "" {
		return nil, 0
	}
	return r, end + len(headEnd)
}

// addQuick adds a field, if it is one of those that a request may have.
func addQuick(r *http.Request, line []byte) bool {
	name, value, ok := strings.Cut(string(line), ": ")
	name, known := quickFields[strings.ToLower(name)]
	if !ok || !known || value == "" || strings.TrimSpace(value) != value || len(r.Header[name]) > 0 {
		return false
	}
	switch name {
	case "Host":
		if r.Host != "" {
			return false
		}
		r.Host = value
		return !strings.ContainsAny(value, notInHost)
	case "Connection":
		return strings.EqualFold(value, "keep-alive")
	}
	r.Header[name] = []string{value}
	return true
}

// isPlain reports whether data has printable ASCII only, in lines that end in CR LF.
func isPlain(data []byte) bool {
	for i, c := range data {
		switch {
		case c >= ' ' && c < 0x7f:
		case c == '\r' && i+1 < len(data) && data[i+1] == '\n':
		case c == '\n' && i > 0 && data[i-1] == '\r':
		default:
			return false
		}
	}
	return true
}

// isPlainPath reports whether a path, perhaps with a query, has only characters that
// are written in one way.
func isPlainPath(uri []byte) bool {
	for _, c := range uri {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !bytes.Contains([]byte("-._~/?=&+,:@"), []byte{c}) {
			return false
		}
	}
	return !bytes.Contains(uri, []byte("..")) && !bytes.HasPrefix(uri, []byte("/"))
}
