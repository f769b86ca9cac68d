package httpcache

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// A trailer is the fields that an origin sends after a body. It may announce their names.
type trailer struct {
	announced []string
	fields    atomic.Pointer[http.Header] // set when the body is complete
}

// withTrailer returns the body of res. It sets the trailer of e before it returns io.EOF.
func (e *response) withTrailer(res *http.Response) io.ReadCloser {
	e.trailer = &trailer{}
	for name := range res.Trailer {
		e.trailer.announced = append(e.trailer.announced, name)
	}
	return &trailedBody{res.Body, res, e.trailer}
}

type trailedBody struct {
	io.ReadCloser
	res     *http.Response
	trailer *trailer
}

func (b *trailedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && len(b.res.Trailer) > 0 {
		fields := rfc9111.EndToEnd(b.res.Trailer)
		b.trailer.fields.Store(&fields)
	}
	return n, err
}

// known returns the fields, or nil if there are none yet.
func (t *trailer) known() http.Header {
	if t == nil {
		return nil
	}
	if fields := t.fields.Load(); fields != nil {
		return *fields
	}
	return nil
}

// isEmpty reports whether there are no fields, and none announced.
func (t *trailer) isEmpty() bool { return t == nil || len(t.announced) == 0 && t.known() == nil }

// announce names the fields of the trailer in the header h. It reports whether there are any,
// because a body of known length cannot have a trailer in HTTP/1.1.
func (t *trailer) announce(h http.Header) bool {
	if t == nil {
		return false
	}
	names := t.announced
	if fields := t.known(); fields != nil {
		names = nil
		for name := range fields {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		h.Set("Trailer", strings.Join(names, ", "))
	}
	return len(names) > 0
}

// write writes the trailer after the body of w.
func (t *trailer) write(w http.ResponseWriter) {
	fields, h := t.known(), w.Header()
	if fields == nil {
		return
	}
	setTrailer(h, fields)
	http.NewResponseController(w).Flush() // so that net/http sets no Content-Length for a short body
}

// setTrailer sets the fields of a trailer in h, the header of an http.ResponseWriter.
func setTrailer(h, fields http.Header) {
	for name, values := range fields {
		if !listed(h["Trailer"], name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}
