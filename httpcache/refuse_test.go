package httpcache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// A broken is a transport to an origin that fails.
type broken struct{ err error }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

// RFC 9209, 2.3.
func TestProxyStatusSaysWhyTheOriginDidNotAnswer(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, test := range []struct {
		err    error
		status int
		kind   string
	}{
		{errors.New("no idea"), 502, "destination_unavailable"},
		{&net.DNSError{IsNotFound: true}, 502, "dns_error"},
		{dial(&net.DNSError{IsTimeout: true}), 502, "dns_timeout"},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), 502, "connection_refused"},
		{dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), 502, "destination_ip_unroutable"},
		{dial(os.ErrDeadlineExceeded), 502, "connection_timeout"},
		{os.NewSyscallError("read", syscall.ECONNRESET), 502, "connection_terminated"},
		{io.ErrUnexpectedEOF, 502, "connection_terminated"},
		{&tls.CertificateVerificationError{Err: errors.New("x")}, 502, "tls_certificate_error"},
		{tls.AlertError(40), 502, "tls_alert_received"},
		{tls.RecordHeaderError{Msg: "x"}, 502, "tls_protocol_error"},
		{errors.New(`malformed HTTP response "x"`), 502, "http_protocol_error"},
		{context.DeadlineExceeded, 504, "http_response_timeout"},
		{dedup.ErrTooManyWaiters, 503, "connection_limit_reached"},
	} {
		for _, method := range []string{"GET", "POST"} {
			s := newSite(t, nil)
			s.opts.Via = "edge"
			s.transport = broken{test.err}
			s.proxy = newProxy(s.front)
			r := s.request(method, "/")
			require.Equal(t, test.status, r.status, test.kind)
			require.Equal(t, `"edge"; error=`+test.kind, r.header.Get("Proxy-Status"))
			require.EqualValues(t, 1, s.Stats().Failed)
			require.Contains(t, s.log.String(), "request to the origin failed")
		}
	}
}

func TestOriginsOwnProxyStatusIsHandedOn(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Proxy-Status", "inner; error=dns_error")
			w.WriteHeader(http.StatusBadGateway)
		})
		require.Equal(t, []string{"inner; error=dns_error"}, s.request(method, "/").header["Proxy-Status"])
	}
}

func TestOriginThatSpeaksNoHTTPIs502(t *testing.T) {
	behind := newPipeNet()
	t.Cleanup(func() { behind.Close() })
	w := newWire(t, http.NotFoundHandler(), nil, nil)
	w.front.transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			there.Read(make([]byte, 1<<16))
			fmt.Fprint(there, "SSH-2.0-x\r\n")
		}()
		return here, nil
	}}
	w.front.proxy = newProxy(w.front)
	for _, field := range []string{"Cookie: a=b", "X-Y: z"} {
		r := w.call(t).send("GET / HTTP/1.1", "Host: a", field).whole(t, "GET")
		require.Equal(t, http.StatusBadGateway, r.status)
		require.Contains(t, r.header.Get("Proxy-Status"), "; error=http_protocol_error")
	}
}

// RFC 9111, 4.4.
func TestWriteEndsWhatItsAnswerNames(t *testing.T) {
	for _, test := range []struct {
		field string
		ended bool
	}{
		{"Location: /page", true},
		{"Content-Location: /page", true},
		{"Location: page", true},
		{"Location: ../page", true},
		{"Location: http://example.com/page", true},
		{"Location: HTTP://EXAMPLE.COM:80/page", true},
		{"Location: //example.com/page", true},
		{"Content-Location: http://origin.test/page", true},
		{"Location: /base/page", true},
		{"Content-Location: http://origin.test/base/page", true},
		{"Location: /page#part", true},
		{"Location: http://example.com/page?q", false},
		{"Location: http://elsewhere.test/page", false},
		{"Location: http://example.com:81/page", false},
		{"Location: mailto:page", false},
		{"Location: /other", false},
		{"Location: :", false},
		{"Link: </page>", false},
	} {
		for _, method := range []string{"POST", "PUT", "DELETE", "FROB"} {
			for _, status := range []int{201, 303, 404} {
				want := [2]string{"hit", "hit"}
				if test.ended && status < 400 {
					want[0] = "fetched"
				}
				got := afterWrite(t, method, status, test.field)
				for range 4 {
					if got != want { // two pages may share a bucket of writes
						got = afterWrite(t, method, status, test.field)
					}
				}
				require.Equal(t, want, got, "%s %d %s", method, status, test.field)
			}
		}
	}
}

// afterWrite returns how /page, and /far, are answered after a write to /things
// whose answer has a status and a field.
func afterWrite(t *testing.T, method string, status int, field string) (from [2]string) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" {
			addLines(w.Header(), field)
			w.WriteHeader(status)
		}
	})
	require.Equal(t, "fetched", s.request("GET", "/page").cache())
	require.Equal(t, "fetched", s.request("GET", "/far").cache())
	s.request(method, "/things")
	return [2]string{s.request("GET", "/page").cache(), s.request("GET", "/far").cache()}
}

func TestSafeMethodEndsNothing(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Location", "/") })
	s.request("GET", "/")
	for _, method := range []string{"OPTIONS", "TRACE", "HEAD", "GET"} {
		s.request(method, "/", "Cookie: a=b")
		require.Equal(t, "hit", s.request("GET", "/").cache(), method)
	}
}

// HTTP/2 has room for what could not be in a request of HTTP/1.1.
func TestWhatIsNoRequestOfHTTP1IsRefused(t *testing.T) {
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Method = "GET /smuggled HTTP/1.1" },
		func(r *http.Request) { r.Method = "GET\r\nX: y" },
		func(r *http.Request) { r.Method = "G(T" },
		func(r *http.Request) { r.Host = "a\xff" },
		func(r *http.Request) { r.Host = "ä.test" },
		func(r *http.Request) { r.Host = "a\x00b" },
		func(r *http.Request) { r.Host = "a\x7f" },
		func(r *http.Request) { r.Host = "a\r\nX: y" },
	} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
		r, w := newRequest(t.Context(), "GET", "/"), httptest.NewRecorder()
		change(r)
		s.writeTo(w, r)
		require.Equal(t, http.StatusBadRequest, w.Code, "%q %q", r.Method, r.Host)
		require.Contains(t, w.Header().Get("Proxy-Status"), "error=http_request_error")
		require.Empty(t, s.asked)
		require.Empty(t, s.log.String())
	}
}
