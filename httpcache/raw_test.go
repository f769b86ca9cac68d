package httpcache

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A recorder is an origin that remembers the requests that came to their end.
type recorder struct {
	mu  sync.Mutex
	got []string // "METHOD uri body"
}

func (o *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	o.mu.Lock()
	o.got = append(o.got, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)))
	o.mu.Unlock()
	w.Header().Set("Cache-Control", "max-age=0")
	io.WriteString(w, "ok")
}

func (o *recorder) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string{}, o.got...)
}

// head returns lines as the header of a message.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// chunked is a body of one chunk, "abc".
const chunked = "3\r\nabc\r\n0\r\n\r\n"

// smuggled is what an attacker wants the origin to see as a request.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// rawRequests are what clients can send on a connection. Another request for
// /end follows each; a wrong one ends the connection before that.
var rawRequests = []struct {
	name, raw string
	status    int      // of the first answer
	origin    []string // what the origin sees before /end
	ends      bool     // the connection is over, and /end is not seen
}{
	// The length of the body.
	{name: "length", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 3") + "abc", status: 200, origin: []string{"POST / abc"}},
	{name: "no length", raw: head("POST / HTTP/1.1", "Host: a"), status: 200, origin: []string{"POST /"}},
	{name: "two equal lengths", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Content-Length: 3") + "abc", status: 200, origin: []string{"POST / abc"}},
	{name: "two lengths", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Content-Length: 40") + "abc" + smuggled, status: 400, ends: true},
	{name: "two lengths, the first longer", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 40", "Content-Length: 3") + "abc" + smuggled, status: 400, ends: true},
	{name: "two lengths in a list", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 3, 40") + "abc" + smuggled, status: 400, ends: true},
	{name: "a length twice in a list", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 3, 3") + "abc", status: 400, ends: true},
	{name: "negative length", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: -3") + "abc", status: 400, ends: true},
	{name: "length with a plus", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: +3") + "abc", status: 400, ends: true},
	{name: "length with zeros", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 003") + "abc", status: 200, origin: []string{"POST / abc"}},
	{name: "hexadecimal length", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 0x3") + "abc", status: 400, ends: true},
	{name: "length that is no number", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: three") + "abc", status: 400, ends: true},
	{name: "empty length", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: ") + smuggled, status: 400, ends: true},
	{name: "length with a space inside", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 3 0") + "abc", status: 400, ends: true},
	{name: "length of more than 64 bits", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 99999999999999999999") + "abc", status: 400, ends: true},
	{name: "length with an underscore", raw: head("POST / HTTP/1.1", "Host: a", "Content_Length: 35") + smuggled, status: 200, origin: []string{"POST /", "GET /smuggled"}},
	{name: "length with a space before the colon", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length : 35") + smuggled, status: 400, ends: true},
	{name: "length in a GET", raw: head("GET / HTTP/1.1", "Host: a", "Content-Length: 35") + smuggled, status: 200, origin: []string{"GET / " + strings.TrimSpace(smuggled)}},
	{name: "length in a HEAD", raw: head("HEAD / HTTP/1.1", "Host: a", "Content-Length: 3") + "abc", status: 200, origin: []string{"HEAD / abc"}},
	{name: "length in a DELETE", raw: head("DELETE / HTTP/1.1", "Host: a", "Content-Length: 3") + "abc", status: 200, origin: []string{"DELETE / abc"}},
	{name: "length that Connection names", raw: head("POST / HTTP/1.1", "Host: a", "Connection: Content-Length", "Content-Length: 3") + "abc", status: 200, origin: []string{"POST / abc"}},
	{name: "Transfer-Encoding that Connection names", raw: head("POST / HTTP/1.1", "Host: a", "Connection: Transfer-Encoding", "Transfer-Encoding: chunked") + chunked, status: 200, origin: []string{"POST / abc"}},

	// Chunks. RFC 9112, 6.3: chunks win over a length.
	{name: "chunks", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + chunked, status: 200, origin: []string{"POST / abc"}},
	{name: "chunks, in capitals", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: CHUNKED") + chunked, status: 200, origin: []string{"POST / abc"}},
	{name: "chunks in a GET", raw: head("GET / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + chunked, status: 200, origin: []string{"GET / abc"}},
	{name: "length, then chunks", raw: head("POST / HTTP/1.1", "Host: a", "Content-Length: 4", "Transfer-Encoding: chunked") + chunked, status: 200, origin: []string{"POST / abc"}},
	{name: "chunks, then length", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 6") + "0\r\n\r\n", status: 200, origin: []string{"POST /"}},
	{name: "Transfer-Encoding twice", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding twice, one identity", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: identity", "Transfer-Encoding: chunked") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding: identity", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: identity", "Content-Length: 3") + "abc", status: 501, ends: true},
	{name: "Transfer-Encoding: gzip, chunked", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding: chunked, identity", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, identity", "Content-Length: 3") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding: xchunked", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: xchunked", "Content-Length: 3") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding with a quote", raw: head("POST / HTTP/1.1", "Host: a", `Transfer-Encoding: "chunked"`, "Content-Length: 3") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding with a parameter", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked;q=1", "Content-Length: 3") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding with a vertical tab", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: \vchunked", "Content-Length: 3") + chunked, status: 400, ends: true},
	{name: "empty Transfer-Encoding", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:", "Content-Length: 3") + chunked, status: 501, ends: true},
	{name: "Transfer-Encoding with a space before the colon", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding : chunked", "Content-Length: 3") + chunked, status: 400, ends: true},
	{name: "Transfer-Encoding with a tab before the colon", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding\t: chunked", "Content-Length: 3") + chunked, status: 400, ends: true},
	{name: "Transfer-Encoding after a space", raw: head("POST / HTTP/1.1", "Host: a", "X-Y: z", " Transfer-Encoding: chunked", "Content-Length: 3") + "abc", status: 200, origin: []string{"POST / abc"}},
	{name: "Transfer-Encoding in a folded line", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding:", " chunked") + chunked, status: 200, origin: []string{"POST / abc"}},
	{name: "Transfer-Encoding with an underscore", raw: head("POST / HTTP/1.1", "Host: a", "Transfer_Encoding: chunked", "Content-Length: 3") + "abc", status: 200, origin: []string{"POST / abc"}},
	{name: "Transfer-Encoding with a NUL", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked\x00", "Content-Length: 3") + chunked, status: 400, ends: true},
	{name: "Transfer-Encoding after a bare CR", raw: head("POST / HTTP/1.1", "Host: a", "X-Y: z\rTransfer-Encoding: chunked", "Content-Length: 3") + chunked, status: 400, ends: true},
	{name: "Transfer-Encoding after a bare LF", raw: head("POST / HTTP/1.1", "Host: a", "X-Y: z\nTransfer-Encoding: chunked") + chunked, status: 200, origin: []string{"POST / abc"}},
	{name: "HTTP/1.0 with chunks", raw: head("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked") + chunked, status: 200, origin: []string{"POST /"}, ends: true},
	{name: "HTTP/1.0 that stays, with chunks", raw: head("POST / HTTP/1.0", "Host: a", "Connection: keep-alive", "Transfer-Encoding: chunked") + chunked, status: 200, origin: []string{"POST /"}, ends: true},
	{name: "chunk that is huge", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "fffffffffffffffff\r\nabc\r\n", status: 400, ends: true},
	{name: "chunk of 2^64+3", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "10000000000000003\r\nabc\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk with 0x", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "0x3\r\nabc\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk of a negative size", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "-3\r\nabc\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk with zeros before", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "0003\r\nabc\r\n0000\r\n\r\n", status: 200, origin: []string{"POST / abc"}},
	{name: "chunk with an extension", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n", status: 200, origin: []string{"POST / abc"}},
	{name: "chunk with a line in its extension", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3;a=\n0\r\n\r\n" + smuggled, status: 400, ends: true},
	{name: "chunk size that ends with LF", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3\nabc\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk that ends with LF", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3\r\nabc\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk that ends too late", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3\r\nabcd\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk with no size", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "\r\nabc\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "chunk with a space before its size", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + " 3\r\nabc\r\n0\r\n\r\n", status: 400, ends: true},
	{name: "trailer", raw: head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nX-Y: z\r\n\r\n", status: 200, origin: []string{"POST / abc"}},
	{name: "trailer that frames", raw: head("POST / HTTP/1.1", "Host: a", "Trailer: Content-Length", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\nContent-Length: 35\r\n\r\n", status: 400, ends: true},

	// The first line.
	{name: "absolute form", raw: head("GET http://b/x HTTP/1.1", "Host: a"), status: 200, origin: []string{"GET /x"}},
	{name: "absolute form with a user", raw: head("GET http://u:p@b/x HTTP/1.1", "Host: a"), status: 200, origin: []string{"GET /x"}},
	{name: "absolute form without a path", raw: head("GET http://b HTTP/1.1", "Host: a"), status: 400},
	{name: "tunnel", raw: head("CONNECT b:80 HTTP/1.1", "Host: b:80"), status: 400},
	{name: "no path", raw: head("GET x HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "star", raw: head("GET * HTTP/1.1", "Host: a"), status: 400},
	{name: "space in the path", raw: head("GET /x y HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "CR LF in the path, encoded", raw: head("GET /x%0d%0aHost:%20b HTTP/1.1", "Host: a"), status: 200, origin: []string{"GET /x%0d%0aHost:%20b"}},
	{name: "NUL in the path, encoded", raw: head("GET /x%00y HTTP/1.1", "Host: a"), status: 200, origin: []string{"GET /x%00y"}},
	{name: "NUL in the path", raw: head("GET /x\x00y HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "tab in the path", raw: head("GET /x\ty HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "CR in the first line", raw: head("GET /x\r/y HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "two spaces in the first line", raw: head("GET  / HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "HTTP/0.9", raw: "GET /\r\n", status: 400, ends: true},
	{name: "HTTP/1.01", raw: head("GET / HTTP/1.01", "Host: a"), status: 400, ends: true},
	{name: "HTTP/2.0", raw: head("GET / HTTP/2.0", "Host: a"), status: 505, ends: true},
	{name: "method that is none", raw: head("G(T / HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "method nobody knows", raw: head("FROB / HTTP/1.1", "Host: a", "Content-Length: 3") + "abc", status: 200, origin: []string{"FROB / abc"}},
	{name: "method in small letters", raw: head("get / HTTP/1.1", "Host: a"), status: 200, origin: []string{"get /"}},

	// Fields.
	{name: "no Host", raw: head("GET / HTTP/1.1", "X-Y: z"), status: 400, ends: true},
	{name: "two Hosts", raw: head("GET / HTTP/1.1", "Host: a", "Host: b"), status: 400, ends: true},
	{name: "Host with a space", raw: head("GET / HTTP/1.1", "Host: a b"), status: 400, ends: true},
	{name: "Host with a path", raw: head("GET / HTTP/1.1", "Host: a/b"), status: 400, ends: true},
	{name: "Host with a user", raw: head("GET / HTTP/1.1", "Host: a@b"), status: 400, ends: true},
	{name: "Host with a comma", raw: head("GET / HTTP/1.1", "Host: a,b"), status: 400},
	{name: "Host that Connection names", raw: head("GET / HTTP/1.1", "Host: a", "Connection: Host"), status: 200, origin: []string{"GET /"}},
	{name: "field without a name", raw: head("GET / HTTP/1.1", "Host: a", ": b"), status: 400, ends: true},
	{name: "field without a colon", raw: head("GET / HTTP/1.1", "Host: a", "X-Y"), status: 400, ends: true},
	{name: "field with a space in its name", raw: head("GET / HTTP/1.1", "Host: a", "X Y: z"), status: 400, ends: true},
	{name: "field with a NUL in its name", raw: head("GET / HTTP/1.1", "Host: a", "X\x00Y: z"), status: 400, ends: true},
	{name: "field with a NUL", raw: head("GET / HTTP/1.1", "Host: a", "X-Y: z\x00"), status: 400, ends: true},
	{name: "first field after a space", raw: head("GET / HTTP/1.1", " Host: a"), status: 400, ends: true},
	{name: "lines that end with LF", raw: "GET / HTTP/1.1\nHost: a\n\n", status: 200, origin: []string{"GET /"}},
	{name: "empty lines before", raw: "\r\n\r\n" + head("GET / HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "Expect that is not known", raw: head("POST / HTTP/1.1", "Host: a", "Expect: x", "Content-Length: 0"), status: 417, ends: true},

	// Several requests.
	{name: "two", raw: head("GET /1 HTTP/1.1", "Host: a") + head("POST /2 HTTP/1.1", "Host: a", "Content-Length: 3") + "abc", status: 200, origin: []string{"GET /1", "POST /2 abc"}},
	{name: "one that closes, and another", raw: head("GET /1 HTTP/1.1", "Host: a", "Connection: close") + head("GET /2 HTTP/1.1", "Host: a"), status: 200, origin: []string{"GET /1"}, ends: true},
	{name: "a wrong one, and another", raw: head("GET /1 HTTP/1.1", "Host: a b") + head("GET /2 HTTP/1.1", "Host: a"), status: 400, ends: true},
	{name: "a refused one with a body, and another", raw: head("POST /../1 HTTP/1.1", "Host: a", "Content-Length: 35") + smuggled, status: 400},
}

// Whatever comes, the origin sees one request for each, and nothing that is not
// one.
func TestOriginSeesEachRequestOnce(t *testing.T) {
	origin := new(recorder)
	s := newServed(t, origin)
	address, err := url.Parse(s.url)
	require.NoError(t, err)
	require.Greater(t, len(rawRequests), 60)
	for _, test := range rawRequests {
		t.Run(test.name, func(t *testing.T) {
			before := len(origin.seen())
			status := sendRaw(t, address.Host, test.raw)
			require.Equal(t, test.status, status)
			want := test.origin
			if !test.ends {
				want = append(append([]string{}, want...), "POST /end")
			}
			require.Equal(t, append([]string{}, want...), origin.seen()[before:])
		})
	}
}

// sendRaw sends raw and a last request, and waits for the end of the connection.
// It returns the status of the first answer.
func sendRaw(t *testing.T, address, raw string) int {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	go io.WriteString(c, raw+head("POST /end HTTP/1.1", "Host: a", "Connection: close", "Content-Length: 0"))
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	io.Copy(io.Discard, in)
	return res.StatusCode
}
