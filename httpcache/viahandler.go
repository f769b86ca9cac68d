package httpcache

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	ctx, cancel := context.WithCancelCause(r.Context())
	body, pipe := io.Pipe()
	w := &pipeWriter{request: r, header: http.Header{}, pipe: pipe, ready: make(chan struct{})}
	in := r.WithContext(ctx)
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
	w.response.Body = &pipeBody{body, cancel}
	return w.response, nil
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

// A pipeBody is the body of a response from a handler.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelCauseFunc
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

	once     sync.Once
	response *http.Response
	err      error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

func (w *pipeWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.inform(status)
		return
	}
	w.once.Do(func() {
		w.response = &http.Response{
			Status:     strconv.Itoa(status) + " " + http.StatusText(status),
			StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.header.Clone(), ContentLength: -1, Request: w.request, Trailer: w.announced(),
		}
		delete(w.response.Header, "Trailer")
		if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
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

// announced returns the trailers that the header names, without values.
func (w *pipeWriter) announced() http.Header {
	var t http.Header
	for _, field := range w.header["Trailer"] {
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
	w.sniff(p)
	w.WriteHeader(http.StatusOK)
	if w.request.Method == http.MethodHead {
		return len(p), nil
	}
	return w.pipe.Write(p)
}

// sniff sets a missing Content-Type, as net/http's server does.
func (w *pipeWriter) sniff(p []byte) {
	if w.response == nil && len(p) > 0 && !hasField(w.header, "Content-Type") && w.header.Get("Content-Encoding") == "" {
		w.header.Set("Content-Type", http.DetectContentType(p))
	}
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
		w.WriteHeader(http.StatusOK)
	}
	if w.response != nil {
		w.setTrailers()
	}
	w.pipe.CloseWithError(err)
}

// setTrailers sets the trailers. It is called before the end of the body can be read.
func (w *pipeWriter) setTrailers() {
	for name := range w.response.Trailer {
		w.response.Trailer[name] = w.header[name]
	}
	for name, values := range w.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			if w.response.Trailer == nil {
				w.response.Trailer = http.Header{}
			}
			w.response.Trailer[http.CanonicalHeaderKey(name)] = values
		}
	}
}
