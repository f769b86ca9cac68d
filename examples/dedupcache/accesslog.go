package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// openLog opens the file of the access log to append to. "-" is stdout.
func openLog(name string, stdout io.Writer) (io.WriteCloser, error) {
	if name == "-" {
		return unclosed{stdout}, nil
	}
	return os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
}

// unclosed is a writer that is not closed here.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// An accessLog writes a line for each request, in the combined log format, followed by X-Cache
// and the time in seconds:
//
//	10.0.0.1 - - [01/Dec/2026:12:00:00 +0000] "GET /page HTTP/1.1" 200 512 "-" "curl/8" hit 0.001
//
// A transfer that broke off ends with "aborted".
type accessLog struct {
	http.Handler
	now func() time.Time

	mu  sync.Mutex
	out io.Writer
}

func (l *accessLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start, seen := l.now(), &watched{ResponseWriter: w}
	aborted := " aborted"
	defer func() { l.write(r, seen, start, aborted) }()
	l.Handler.ServeHTTP(seen, r)
	aborted = ""
}

func (l *accessLog) write(r *http.Request, w *watched, start time.Time, end string) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = "-"
	}
	line := fmt.Sprintf("%s - - [%s] %s %d %d %s %s %s %.3f%s\n", host, start.Format("02/Jan/2006:15:04:05 -0700"),
		quote(r.Method+" "+r.RequestURI+" "+r.Proto), w.status, w.bytes, quote(r.Referer()), quote(r.UserAgent()),
		orDash(w.Header().Get("X-Cache")), l.now().Sub(start).Seconds(), end)
	l.mu.Lock()
	defer l.mu.Unlock()
	io.WriteString(l.out, line)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// quote quotes what a client sent, so that it cannot look like another field or line.
func quote(s string) string {
	s = strconv.QuoteToASCII(orDash(s))
	return strings.ReplaceAll(s, "\u007f", `\x7f`)
}

// A watched is an http.ResponseWriter that counts the bytes of the body and notes the status.
type watched struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watched) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
