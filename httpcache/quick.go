package httpcache

import (
	"bytes"
	"cmp"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// QuickHits wraps the listener l of a server, so that its connections answer most requests
// for small pages that are kept and fresh, without the server. That takes much less time.
// h must be a handler from [Cache.Proxy], and server.Handler must be h or pass requests on
// to h. The server must then serve the returned listener instead of l.
//
// An answer has the same bytes as one of h, except for the order of the fields. A request is
// answered in this way only if it is GET, HTTP/1.1 without TLS, of at most 4 KiB, with the
// common fields of browsers only, and without any byte that could be read in two ways; and
// if the body of the answer has at most 64 KiB. All other requests go to the server.
//
// Each answer is written by one system call, writev(2), if the connections of l are those of
// package net, or have a method WriteBuffers(*net.Buffers) (int64, error) that passes its
// argument on to such a connection. Otherwise it is written by one call of Write.
//
// Handlers around h do not see the requests that are answered in this way. If answered is
// not nil, it is called after each of them with the time that the answer took, in the
// goroutine of the connection and with nothing locked. An answer that is being written
// while the server shuts down, or closes, has 5 s to end.
//
// The server's timeouts hold for these requests. Its ConnState is not called for them, and
// SetKeepAlivesEnabled does not apply to connections that have had no other requests. The
// listener is for Serve, not for ServeTLS.
//
// QuickHits replaces server.ConnState by a function that also calls the one before, so it
// must be called before the server serves. It panics if h is not from Proxy.
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

// A quickConn is a connection that answers requests while its server has answered all that it
// has read. Its turn says when.
type quickConn struct {
	net.Conn
	of      *quickListener
	turn    atomic.Int32
	room    int    // the length of the server's reads while its buffer is empty
	rest    []byte // read from Conn, and not yet read by the server
	buf     []byte
	client  string    // the address of the client
	used    bool      // a request was answered since the server set the deadline
	renewed time.Time // when stayOpen last set the deadline
	begun   time.Time // when the server got its first request, if others were answered before

	mu      sync.Mutex
	writing bool        // an answer is being written
	over    bool        // an answer was the last one, or broke off
	closed  bool        // Close was called while an answer was being written
	cut     *time.Timer // closes Conn some time after that
}

// The turns of a connection. http.StateIdle does not mean that the server waits for a
// request: it may have read several at once. The server sets a deadline before it waits, and
// another one when it has the beginning of a request. If it had that before, no read comes
// between the two. If it had a part of that, the read has less room.
const (
	ofServer     int32 = iota // the server reads a request, or what follows it
	beforeAll                 // the server has got nothing yet
	afterRequest              // the server is idle
	beforeNext                // the server is idle, and has set a deadline
)

// isBetween reports whether the next bytes are the beginning of a request. room is the length
// of the server's read.
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

// SetReadDeadline is called by the server. ReadTimeout of the server's first request would
// begin when the connection was accepted, so it is replaced if others were answered before.
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

// maxQuickHead is the size of the largest request that is answered here, and maxQuickBody
// that of the largest body of an answer, in bytes.
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

// answerAll answers the requests at the beginning of data, and returns the rest, which is for
// the server.
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

// stayOpen restarts the server's idle timeout. If that is long, it does so once a second.
func (q *quickConn) stayOpen(now time.Time) {
	limit := cmp.Or(q.of.server.IdleTimeout, q.of.server.ReadTimeout)
	if q.used && now.Sub(q.renewed) < time.Second && (limit <= 0 || limit > 10*time.Second) {
		return
	}
	q.used, q.renewed = true, now
	q.Conn.SetReadDeadline(deadline(now, limit))
}

// handOver lets the server read. It restarts the server's timeout for a header, which began
// before the requests that were answered here.
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

// deadline returns the end of a time limit that begins now. If limit is not positive, there is
// none.
func deadline(now time.Time, limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	return now.Add(limit)
}

// lastWrite is the time for which an answer is written after Close was called.
const lastWrite = 5 * time.Second

// Close lets an answer that is being written end. It does not wait for that, because a server
// that shuts down calls Close with a lock held. Conn may ignore deadlines, so a timer closes it.
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

// write writes an answer. If that breaks off, or the answer is the last one, it closes Conn.
func (q *quickConn) write(a *quickAnswer, last bool) {
	q.mu.Lock()
	q.writing = true
	if limit := q.of.server.WriteTimeout; limit > 0 {
		q.Conn.SetWriteDeadline(time.Now().Add(limit))
	}
	q.mu.Unlock()
	whole := a.writeTo(q.Conn)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
	if q.cut != nil {
		q.cut.Stop()
	}
	if q.over = q.closed || last || !whole; q.over {
		q.Conn.Close()
	}
}

// CloseWrite is called by net/http before Close.
func (q *quickConn) CloseWrite() error {
	if half, ok := q.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

var quickAnswers = sync.Pool{New: func() any { return new(quickAnswer) }}

// A quickAnswer is an answer to write.
type quickAnswer struct {
	head  []byte
	parts [][]byte    // head, and the chunks of the body
	rest  net.Buffers // of parts, what is not written yet
}

// writeTo writes the answer, in one piece if c does not accept several parts. It reports
// whether all of the answer was written.
func (a *quickAnswer) writeTo(c net.Conn) (whole bool) {
	a.rest = a.parts
	size, n, err := a.size(), int64(0), error(nil)
	switch to := c.(type) {
	case interface {
		WriteBuffers(*net.Buffers) (int64, error)
	}:
		n, err = to.WriteBuffers(&a.rest)
	case *net.TCPConn, *net.UnixConn:
		n, err = a.rest.WriteTo(to)
	default:
		for _, p := range a.parts[1:] {
			a.head = append(a.head, p...)
		}
		var wrote int
		wrote, err = c.Write(a.head)
		n = int64(wrote)
	}
	clear(a.parts) // it must not keep the body
	return err == nil && n == size
}

func (a *quickAnswer) size() (n int64) {
	for _, p := range a.parts {
		n += int64(len(p))
	}
	return n
}

// answer answers the request at the beginning of data, and returns its size. If the server
// has to answer it, answer writes nothing and returns false.
func (q *quickConn) answer(data []byte) (size int, ok bool) {
	r, size := parseQuick(data)
	if r == nil {
		return 0, false
	}
	if q.client == "" {
		q.client = q.Conn.RemoteAddr().String()
	}
	r.RemoteAddr = q.client
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
	out, last := quickAnswers.Get().(*quickAnswer), q.of.stopping.Load()
	f.compose(out, a, e, last)
	q.write(out, last)
	quickAnswers.Put(out)
	return size, true
}

// isQuick reports whether a quickConn may answer by the response.
func (e *response) isQuick() bool {
	return e.status == http.StatusOK && e.body != nil && e.body.whole.Load() && e.body.length <= maxQuickBody &&
		e.trailer.isEmpty() && !e.personal && e.quickHead() != nil
}

// compose sets out to the answer to a by e, whose body is open. last is true for the last
// answer of a connection.
func (f *front) compose(out *quickAnswer, a *ask, e *response, last bool) {
	out.head = f.appendHeader(out.head[:0], a, e, last)
	out.parts = append(out.parts[:0], out.head)
	for _, c := range e.body.chunks {
		out.parts = append(out.parts, c.data)
	}
}

func (f *front) appendHeader(b []byte, a *ask, e *response, last bool) []byte {
	b = append(b, e.quickHead()...)
	b = appendField(b, "X-Cache", hit.String())
	b = appendField(b, "Age", e.age())
	b = appendField(b, "Content-Length", e.body.field[0])
	b = appendField(b, "Cache-Status", e.above+f.cacheStatusOf(a, e, hit).line(f.name))
	if last {
		b = appendField(b, "Connection", "close")
	}
	return append(b, "\r\n"...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// quickHead returns the lines with which all answers by e begin. They are made once. It
// returns nil if a field cannot be written as it is.
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
			if !isToken(name) || strings.ContainsAny(value, "\r\n\x00") || strings.TrimSpace(value) != value {
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

// quickNames are the fields that a plain request may have, each once.
var quickNames = func() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{
		"Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Referer", "Dnt", "Priority",
		"Upgrade-Insecure-Requests", "Connection", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
		"Sec-Fetch-User", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform",
	} {
		names[name] = name
	}
	return names
}()

var headEnd = []byte("\r\n\r\n")

// parseQuick returns the request at the beginning of data, and its size. It returns nil if
// the request is not complete or not plain.
func parseQuick(data []byte) (r *http.Request, size int) {
	end := bytes.Index(data, headEnd)
	if end < 0 || !isPlain(data[:end]) {
		return nil, 0
	}
	line, fields, _ := strings.Cut(string(data[:end]), "\r\n")
	uri, isGet := strings.CutPrefix(line, "GET ")
	uri, isLatest := strings.CutSuffix(uri, " HTTP/1.1")
	if !isGet || !isLatest || !isPlainPath(uri) {
		return nil, 0
	}
	r = &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		RequestURI: uri, Header: make(http.Header, 8), Body: http.NoBody,
	}
	path, query, asked := strings.Cut(uri, "?")
	r.URL = &url.URL{Path: path, RawQuery: query, ForceQuery: asked && query == ""}
	values := make([]string, 0, len(quickNames)) // of all fields
	for len(fields) > 0 {
		line, fields, _ = strings.Cut(fields, "\r\n")
		plain := false
		if values, plain = addQuick(r, line, values); !plain {
			return nil, 0
		}
	}
	if r.Host == "" {
		return nil, 0
	}
	return r, end + len(headEnd)
}

// addQuick adds a field to r, and reports whether a plain request may have it. The header
// refers to values, to which the value is appended.
func addQuick(r *http.Request, line string, values []string) ([]string, bool) {
	name, value, ok := strings.Cut(line, ": ")
	name = quickField(name)
	if !ok || name == "" || value == "" || strings.TrimSpace(value) != value || len(r.Header[name]) > 0 {
		return values, false
	}
	switch name {
	case "Host":
		isFirst := r.Host == ""
		r.Host = value
		return values, isFirst && isHost(value)
	case "Connection":
		return values, strings.EqualFold(value, "keep-alive")
	}
	n := len(values)
	values = append(values, value)
	r.Header[name] = values[n : n+1 : n+1]
	return values, true
}

// quickField returns the canonical form of the name of a field, or "" if a plain request does
// not have that field.
func quickField(name string) string {
	if canonical, ok := quickNames[name]; ok {
		return canonical
	}
	return quickNames[textproto.CanonicalMIMEHeaderKey(name)]
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

// isPlainPath reports whether a path and query have only characters that need no encoding.
func isPlainPath(uri string) bool {
	if len(uri) < 1 || uri[0] != '/' || len(uri) > 1 && uri[1] == '/' {
		return false
	}
	for i := range len(uri) {
		if !plainInPath[uri[i]] {
			return false
		}
	}
	return !strings.Contains(uri, "..")
}

var plainInPath = func() (table [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/?=&+,:@" {
		table[c] = true
	}
	return table
}()
