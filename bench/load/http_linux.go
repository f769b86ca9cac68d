package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// An answer parses a response of HTTP/1.1 as it arrives: the header, and then the body, whose
// length is that of Content-Length.
type answer struct {
	head []byte
	left int // the number of bytes of the body that are missing; -1 until the header has ended
}

func (a *answer) begin() { a.head, a.left = a.head[:0], -1 }

var headerEnd = []byte("\r\n\r\n")

// take adds bytes that have arrived, and reports whether the response is complete.
func (a *answer) take(p []byte) (whole bool, err error) {
	if a.left < 0 {
		old := len(a.head)
		a.head = append(a.head, p...)
		end := bytes.Index(a.head, headerEnd)
		if end < 0 {
			return false, nil
		}
		end += len(headerEnd)
		if a.left, err = bodySize(a.head[:end]); err != nil {
			return false, err
		}
		p = p[end-old:]
	}
	if a.left -= len(p); a.left < 0 {
		return false, errors.New("load: bytes after the end of the answer")
	}
	return a.left == 0, nil
}

var length = []byte("\r\ncontent-length:")

// bodySize returns the Content-Length of a response, whose status must be 200.
func bodySize(head []byte) (int, error) {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("load: not an answer with status 200: %q", head)
	}
	_, rest, ok := bytes.Cut(bytes.ToLower(head), length)
	value, _, _ := bytes.Cut(rest, []byte("\r"))
	n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
	if !ok || err != nil {
		return 0, fmt.Errorf("load: an answer without Content-Length: %q", head)
	}
	return n, nil
}

// Gets returns a script of GET requests for the paths that path returns. Each response must
// have status 200 and a Content-Length; its bytes are not checked.
func Gets(host string, path func(conn, batch int) string) Script {
	return func(conn, batch int) (send, want []byte) {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", path(conn, batch), host), nil
	}
}
