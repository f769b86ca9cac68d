package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A page is the owner of a body.
type page struct {
	front *front
	*response
}

func (p page) evicted(b *body) { p.front.pages.dropBody(p.response, b) }

func (p page) detached() { p.front.stats.detached.Add(1) }

func (p page) broke(err error) {
	p.front.stats.failed.Add(1)
	p.front.stats.broken.Add(1)
	if p.front.base.Err() == nil {
		p.front.Logger.Error("httpcache: a response broke off", "request", p.home.String(), "error", err)
	}
}

// strongValidator returns the strong validator of a response (RFC 9110, 8.8.1 and 8.8.2.2),
// or "".
func strongValidator(header http.Header) string {
	if tag := header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	modified, err := http.ParseTime(header.Get("Last-Modified"))
	date, err2 := http.ParseTime(header.Get("Date"))
	if err == nil && err2 == nil && date.Sub(modified) >= time.Minute { // though our clock may have written Date
		return header.Get("Last-Modified")
	}
	return ""
}

// resumer returns a function that asks the origin for the rest of e from an offset on, for
// one reader. e was made of res. It returns nil if the rest could be of another version.
func (f *front) resumer(e *response, res *http.Response) func(context.Context, int64) (io.ReadCloser, error) {
	validator := strongValidator(e.header)
	if e.status != http.StatusOK || res.Uncompressed || validator == "" || e.header.Get("Accept-Ranges") == "none" {
		return nil
	}
	return func(ctx context.Context, off int64) (io.ReadCloser, error) {
		x := f.newExchange(http.MethodGet)
		req := res.Request.Clone(x.ctx)
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", off))
		req.Header.Set("If-Range", validator)
		req.Header.Del("If-None-Match")
		req.Header.Del("If-Modified-Since")
		return f.resume(ctx, x, req, e.header, off)
	}
}

// resume makes req, a request for the body from off on of a response with the given header.
func (f *front) resume(ctx context.Context, x *exchange, req *http.Request, header http.Header, off int64) (io.ReadCloser, error) {
	rest := &rest{x: x, leave: context.AfterFunc(ctx, func() { x.cancel(context.Cause(ctx)) })}
	res, err := f.transport.RoundTrip(req)
	x.stopTimer()
	if err != nil {
		if x.ctx.Err() != nil {
			err = context.Cause(x.ctx)
		}
		rest.end()
		return nil, fmt.Errorf("origin: %w", err)
	}
	rest.ReadCloser = res.Body
	if rest.left, err = checkPart(res, header, off); err != nil {
		rest.Close()
		return nil, err
	}
	return rest, nil
}

var errNotTheRest = errors.New("origin: it did not send the rest of the body")

// checkPart returns the length of the body of res, which must be the rest from off on of a
// response with the header page.
func checkPart(res *http.Response, page http.Header, off int64) (int64, error) {
	if res.StatusCode != http.StatusPartialContent {
		return 0, fmt.Errorf("%w: status %d", errNotTheRest, res.StatusCode)
	}
	for _, name := range []string{"ETag", "Last-Modified", "Content-Encoding"} {
		if got, want := res.Header.Get(name), page.Get(name); got != "" && got != want {
			return 0, fmt.Errorf("%w: its %s is %s, not %s", errNotTheRest, name, got, want)
		}
	}
	content := res.Header.Get("Content-Range")
	first, total, ok := parseContentRange(content)
	announced := page.Get("Content-Length")
	if !ok || first != off || announced != "" && announced != strconv.FormatInt(total, 10) {
		return 0, fmt.Errorf("%w: Content-Range %q", errNotTheRest, content)
	}
	return total - off, nil
}

// parseContentRange parses the Content-Range of a part that ends at the last byte.
func parseContentRange(s string) (first, total int64, ok bool) {
	unit, s, _ := strings.Cut(s, " ")
	part, all, _ := strings.Cut(s, "/")
	from, to, _ := strings.Cut(part, "-")
	first, err := parseDigits(from)
	last, err2 := parseDigits(to)
	total, err3 := parseDigits(all)
	ok = strings.EqualFold(unit, "bytes") && errors.Join(err, err2, err3) == nil && first <= last && last == total-1
	return first, total, ok
}

func parseDigits(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63) // no sign
	return int64(n), err
}

// A rest is the body of a part, of which left bytes are missing. Each piece must come
// within the exchange's limit.
type rest struct {
	io.ReadCloser
	x     *exchange
	leave func() bool
	left  int64
}

func (r *rest) Read(p []byte) (int, error) {
	r.x.startTimer()
	n, err := r.ReadCloser.Read(p)
	r.x.stopTimer()
	switch r.left -= int64(n); {
	case r.left < 0:
		return 0, errLength
	case err == io.EOF && r.left > 0:
		return n, io.ErrUnexpectedEOF
	case err != nil && err != io.EOF && r.x.ctx.Err() != nil:
		return n, context.Cause(r.x.ctx)
	}
	return n, err
}

func (r *rest) Close() error {
	defer r.end()
	return r.ReadCloser.Close()
}

func (r *rest) end() {
	r.leave()
	r.x.stopTimer()
	r.x.cancel(nil)
}
