package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// A viaHandler is an http.RoundTripper that calls a handler. As with a server, RoundTrip
// returns when the header is there, the body is streamed, a panic of the handler breaks the
// body off, and the end of the request's context ends both. To close the body cancels the
// request's context, and drops what the handler writes after that.
type viaHandler struct{ http.Handler }

// errHandlerExited is the error of a handler that called runtime.Goexit.
var errHandlerExited = errors.New("the handler did not return")

func (h viaHandler) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(inServer(r.Context()))
	body, pipe := io.Pipe()
	w := &pipeWriter{request: r, header: http.Header{}, pipe: pipe, ready: make(chan struct{})}
	in := r.Clone(ctx)  // some handlers change it
	if in.Body == nil { // as in a server's request
		in.Body = http.NoBody
	}
	leave := context.AfterFunc(ctx, func() { body.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer cancel(nil)
		defer leave()
		h.serve(w, in)
	}()
	select {
	case <-w.ready:
	case <-ctx.Done():
		w.fail(context.Cause(ctx))
		<-w.ready
	}
	if w.err != nil {
		cancel(w.err)
		return nil, w.err
	}
	w.response.Body = &pipeBody{body, w, cancel}
	return w.response, nil
}

// noServer stands for the server of a handler that has none.
var noServer = new(http.Server)

// inServer returns ctx with a server. Without one, httputil.ReverseProxy ends a response as if it was
// complete when its body breaks off.
func inServer(ctx context.Context) context.Context {
	if ctx.Value(http.ServerContextKey) != nil {
		return ctx
	}
	return context.WithValue(ctx, http.ServerContextKey, noServer)
}

// serve calls the handler, and ends the response even if the handler panics or exits.
func (h viaHandler) serve(w *pipeWriter, r *http.Request) {
	err := errHandlerExited
	defer func() {
		p := recover()
		switch {
		case p == http.ErrAbortHandler:
			err = io.ErrUnexpectedEOF
		case p != nil:
			err = fmt.Errorf("the handler panicked: %v\n%s", p, debug.Stack())
		}
		w.finish(err)
	}()
	h.ServeHTTP(w, r)
	err = context.Cause(r.Context()) // the handler may have returned early because of that
}

// A pipeBody is the body of a response from a handler. A read that returns
// io.EOF sets the trailers of the response.
type pipeBody struct {
	*io.PipeReader
	w      *pipeWriter
	cancel context.CancelCauseFunc
}

func (b *pipeBody) Read(p []byte) (int, error) {
	n, err := b.PipeReader.Read(p)
	if err == io.EOF {
		b.w.setTrailers()
	}
	return n, err
}

func (b *pipeBody) Close() error {
	b.cancel(context.Canceled)
	return b.PipeReader.Close()
}

// A pipeWriter is the http.ResponseWriter of a handler whose response goes to
// a caller of RoundTrip.
type pipeWriter struct {
	request *http.Request
	header  http.Header
	pipe    *io.PipeWriter
	ready   chan struct{} // closed once response or err is set

	status int         // of the response; 0: not known yet
	fields http.Header // the header of the response

	once     sync.Once
	response *http.Response
	err      error
	declared http.Header // the trailers that the header names
	trailer  http.Header // set when the handler has returned
}

func (w *pipeWriter) Header() http.Header { return w.header }

// Flush implements http.Flusher.
func (w *pipeWriter) Flush() { w.commit(nil) }

// WriteHeader does not send the header yet: the first bytes of the body may add a type.
func (w *pipeWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.inform(status)
		return
	}
	if w.status == 0 {
		w.status, w.fields = status, w.header.Clone()
	}
}

// commit sends the header, if it is not sent. p is the beginning of the body.
func (w *pipeWriter) commit(p []byte) {
	w.WriteHeader(http.StatusOK)
	w.once.Do(func() {
		h := w.fields
		if len(p) > 0 && !hasField(h, "Content-Type") && h.Get("Content-Encoding") == "" {
			h.Set("Content-Type", http.DetectContentType(p)) // as net/http's server does
		}
		w.declared = announced(h)
		w.response = &http.Response{
			Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
			StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: h, ContentLength: -1, Request: w.request, Trailer: maps.Clone(w.declared),
		}
		delete(h, "Trailer")
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			w.response.ContentLength = n
		}
		close(w.ready)
	})
}

// inform passes an interim response to the client trace of the request.
func (w *pipeWriter) inform(status int) {
	trace := httptrace.ContextClientTrace(w.request.Context())
	if trace != nil && trace.Got1xxResponse != nil {
		trace.Got1xxResponse(status, textproto.MIMEHeader(w.header.Clone()))
	}
}

// announced returns the trailers that the header h names, without values.
func announced(h http.Header) http.Header {
	var t http.Header
	for _, field := range h["Trailer"] {
		for name := range strings.SplitSeq(field, ",") {
			if t == nil {
				t = http.Header{}
			}
			t[http.CanonicalHeaderKey(strings.TrimSpace(name))] = nil
		}
	}
	return t
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.commit(p)
	if w.request.Method == http.MethodHead || len(p) == 0 { // a write of no bytes to a pipe waits for a reader
		return len(p), nil
	}
	return w.pipe.Write(p)
}

// hasField reports whether h names a field, even with no value.
func hasField(h http.Header, name string) bool { _, ok := h[name]; return ok }

// fail ends the round trip with an error, unless the header is there.
func (w *pipeWriter) fail(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.ready)
	})
}

// finish ends the response. If the handler wrote nothing, the status is 200.
func (w *pipeWriter) finish(err error) {
	if err != nil {
		w.fail(err)
	} else {
		w.commit(nil)
	}
	w.trailer = w.trailers()
	w.pipe.CloseWithError(err)
}

// trailers returns the trailers that the handler has set.
func (w *pipeWriter) trailers() http.Header {
	t := w.declared
	for name := range t {
		t[name] = w.header[name]
	}
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			if t == nil {
				t = http.Header{}
			}
			t[http.CanonicalHeaderKey(name)] = values
		}
	}
	return t
}

// setTrailers sets the trailers of the response. It runs in the goroutine that reads the
// body, because only that may use the map.
func (w *pipeWriter) setTrailers() {
	if w.response.Trailer == nil {
		w.response.Trailer = w.trailer
		return
	}
	maps.Copy(w.response.Trailer, w.trailer)
}
