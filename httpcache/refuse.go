package httpcache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/vigil-go/vigil/dedup"
)

// A refusal is the answer to a request that cannot be sent to the origin because of what is
// in it.
type refusal struct {
	status int
	kind   string // the error type of Proxy-Status (RFC 9209, 2.3)
	says   string
}

// notInHost has the printable characters that a host must not have.
const notInHost = " \"'<>\\^`{|}/?#@,;"

// isHost reports whether a Host field has only characters that a host may have. HTTP/1.1
// checks more before that, HTTP/2 less.
func isHost(field string) bool {
	return !strings.ContainsAny(field, notInHost) && !strings.ContainsFunc(field, func(c rune) bool { return c < ' ' || c > '~' })
}

// refusalOf returns why r is not sent to the origin, or nil.
func (f *front) refusalOf(r *http.Request) *refusal {
	switch {
	case !strings.HasPrefix(r.URL.Path, "/"): // "*", "http:page", or of CONNECT
		return &refusal{http.StatusBadRequest, "http_request_error", "no path"}
	case hasDotDot(r.URL.Path):
		return &refusal{http.StatusBadRequest, "http_request_error", "a path must not have .. in it"}
	case !isToken(r.Method):
		return &refusal{http.StatusBadRequest, "http_request_error", "no method"}
	case !isHost(r.Host):
		return &refusal{http.StatusBadRequest, "http_request_error", "no host"}
	case len(r.Header["Max-Forwards"]) > 0 && isForProxies(r) && hopsOf(r) < 0:
		return &refusal{http.StatusBadRequest, "http_request_error", "Max-Forwards is not a number"}
	case isForThisProxy(r) && r.Method == http.MethodTrace: // which would show what others have added
		return &refusal{http.StatusNotImplemented, "http_request_error", "TRACE is for origins only"}
	case f.hasLooped(r):
		return &refusal{http.StatusLoopDetected, "proxy_loop_detected", "the request has been here already"}
	}
	return nil
}

// badBody returns the answer to a request whose body broke off or does not arrive.
func badBody(err error) *refusal {
	status := http.StatusBadRequest
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status = http.StatusRequestEntityTooLarge
	} else if ne, ok := errors.AsType[net.Error](err); err == errStalled || ok && ne.Timeout() {
		status = http.StatusRequestTimeout
	}
	return &refusal{status, "http_request_error", http.StatusText(status)}
}

func (f *front) refuse(w http.ResponseWriter, no *refusal) {
	f.proxyStatus(w, no.kind)
	http.Error(w, no.says, no.status)
}

// leave answers a request whose context has ended. Usually its client has left. But a handler around
// the cache may have given it a deadline, and then a server without an answer would send an empty page
// with status 200.
func (f *front) leave(w http.ResponseWriter) {
	if f.errorWriter(w) == nil {
		f.refuse(w, &refusal{http.StatusGatewayTimeout, "http_response_timeout", http.StatusText(http.StatusGatewayTimeout)})
	}
}

// explain answers a request that failed with err.
func (f *front) explain(w http.ResponseWriter, err error) {
	if p := f.errorWriter(w); p != nil {
		p.fail(err)
		return
	}
	f.proxyStatus(w, kindOf(err))
	status := statusOf(err)
	http.Error(w, http.StatusText(status), status)
}

func (f *front) proxyStatus(w http.ResponseWriter, kind string) {
	if f.opts.Via != "" {
		w.Header().Add("Proxy-Status", fmt.Sprintf("%q; error=%s", f.opts.Via, kind))
	}
}

// errStale is the error if a stale response must not be used and cannot be replaced.
var errStale = errors.New("stale, and the origin cannot be asked")

func statusOf(err error) int {
	switch {
	case errors.Is(err, dedup.ErrClosed), errors.Is(err, dedup.ErrTooManyWaiters):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStale):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// kindOf returns the error type of RFC 9209 for err. Without a connection, as far as is
// known, it is destination_unavailable.
func kindOf(err error) string {
	if kind := networkKind(err); kind != "" {
		return kind
	}
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, panicked := errors.AsType[*dedup.PanicError](err)
	switch {
	case errors.Is(err, dedup.ErrTooManyWaiters):
		return "connection_limit_reached"
	case errors.Is(err, dedup.ErrClosed), panicked:
		return "proxy_internal_error"
	case badCertificate:
		return "tls_certificate_error"
	case alert:
		return "tls_alert_received"
	case noTLS:
		return "tls_protocol_error"
	case errors.Is(err, context.DeadlineExceeded):
		return "http_response_timeout"
	case errors.Is(err, errBadStatus),
		strings.Contains(err.Error(), "malformed HTTP"): // net/http has no type for it
		return "http_protocol_error"
	}
	return "destination_unavailable"
}

// networkKind is kindOf for errors of a connection, and "" for others.
func networkKind(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return "dns_timeout"
		}
		return "dns_error"
	}
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "destination_ip_unroutable"
	case op != nil && op.Op == "dial" && op.Timeout():
		return "connection_timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection_terminated"
	}
	return ""
}
