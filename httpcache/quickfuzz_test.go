package httpcache

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A script is what a client sends, in pieces: between two of them it waits.
const (
	atOnce  = "\x01" // not at all
	shortly = "\x02" // until all is done that can be
	longer  = "\x03" // until the slow page is there, too
)

// quickScripts are pieces of scripts.
var quickScripts = []string{
	plain, plain, plain, shortly, shortly, longer,
	head("GET /page HTTP/1.1", "Host: here", "Accept-Encoding: gzip"), head("GET /vary HTTP/1.1", "Host: here", "Accept-Language: en"),
	head("GET /vary HTTP/1.1", "Host: here", "Accept-Language: de"), head("GET /short HTTP/1.1", "Host: here"),
	head("GET /slow HTTP/1.1", "Host: here"), head("HEAD /page?q HTTP/1.1", "Host: here"), head("GET /large HTTP/1.1", "Host: here"),
	head("GET /page?q HTTP/1.0", "Host: here"), head("GET /page?q HTTP/1.0", "Host: here", "Connection: keep-alive"),
	head("GET /page?q HTTP/1.1", "Host: here", "Connection: close"), head("GET /page?q HTTP/1.1", "Host: here", "Connection: keep-alive"),
	head("GET http://here/page?q HTTP/1.1", "Host: x"), head("GET /page?q HTTP/1.1", "Host: HERE"), head("GET /page?q HTTP/1.1", "Host: a b"),
	head("GET /page?q HTTP/1.1", "Host: here", "Range: bytes=1-2"), head("GET /page?q HTTP/1.1", "Host: here", `If-None-Match: "a"`),
	head("GET /page?q HTTP/1.1", "Host: here", "Content-Length: 5") + "12345", "GET /page?q HTTP/1.1\nHost: here\n\n", "\r\n\r\n", "FROB", "GET /",
	head("POST /page HTTP/1.1", "Host: here", fmt.Sprint("Content-Length: ", len(plain))), head("POST /echo HTTP/1.1", "Host: here", "Content-Length: 4"), "body",
	head("POST /echo HTTP/1.1", "Host: here", "Transfer-Encoding: chunked"), "5\r\nbody ", "0\r\n\r\n", head("PUT /echo HTTP/1.1", "Host: here", "Expect: 100-continue", "Content-Length: 4"),
	head("GET /trailer HTTP/1.1", "Host: here"), head("GET /.. HTTP/1.1", "Host: here"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", head("OPTIONS * HTTP/1.1", "Host: here"),
}

func quickOrigin(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	body := fmt.Sprintf("%s %s %s %q", r.Method, r.URL.RequestURI(), r.Header.Get("Accept-Language"), b)
	w.Header().Set("Cache-Control", "max-age=60")
	switch r.URL.Path {
	case "/base/slow":
		time.Sleep(time.Second)
		w.Header().Set("Cache-Control", "no-store")
	case "/base/vary":
		addLines(w.Header(), "Vary: Accept-Language", "X-Two: 1", "X-Two: 2")
	case "/base/short":
		w.Header().Set("Cache-Control", "max-age=3")
	case "/base/large":
		body += strings.Repeat("x", maxQuickBody)
	case "/base/trailer":
		addLines(w.Header(), "Trailer: X-Sum", "Cache-Control: no-store")
		io.WriteString(w, body)
		w.Header().Set("X-Sum", "1")
		return
	default:
		w.Header().Set("Etag", `"a"`)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	io.WriteString(w, body)
}

// A transcript is what a client saw and what the origin was asked for.
type transcript struct {
	answers []string
	asked   []string
	hits    int // that the server has not seen
}

// transcriptOf has a server answer a script, on a connection in memory.
func transcriptOf(t *testing.T, script []byte, quickly bool) (got transcript) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, quickOrigin)
		s.opts.Via = "proxy"
		for _, page := range []string{"/page?q", "/page", "/vary", "/short", "/large"} {
			r := newRequest(t.Context(), "GET", page, "Accept-Language: en")
			r.Host = "here"
			s.writeTo(newNowhere(), r)
		}
		synctest.Wait()
		pipes := newPipeNet()
		server := &http.Server{Handler: s.front, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		var l net.Listener = pipes
		if quickly {
			l = QuickHits(server, l, s.front, func(time.Duration) { got.hits++ })
		}
		served := make(chan bool)
		go func() { defer close(served); server.Serve(l) }()
		c, err := pipes.dial(t.Context(), "", "")
		require.NoError(t, err)
		var answers bytes.Buffer
		var ends sync.WaitGroup
		ends.Go(func() { io.Copy(&answers, c) })
		ends.Go(func() {
			for piece := range pieces(script) {
				switch piece {
				case atOnce:
				case shortly:
					synctest.Wait()
				case longer:
					time.Sleep(2 * time.Second)
				default:
					io.WriteString(c, piece)
				}
			}
		})
		time.Sleep(time.Minute)
		c.Close()
		ends.Wait()
		server.Close()
		<-served
		got.answers = sortedFields(answers.String())
		if n := len(got.answers) - 1; n >= 0 && strings.HasSuffix(got.answers[n], "\n\n400 Bad Request") {
			got.answers = got.answers[:n] // a server that is idle says so only after the fourth byte
		}
		for len(s.asked) > 0 {
			r := <-s.asked
			got.asked = append(got.asked, r.Method+" "+r.URL.RequestURI())
		}
	})
	return got
}

// pieces iterates over what is to be sent at once, and what comes between.
func pieces(script []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(script) > 0 {
			n := bytes.IndexAny(script, atOnce+shortly+longer)
			switch {
			case n < 0:
				n = len(script)
			case n == 0:
				n = 1
			}
			if !yield(string(script[:n])) {
				return
			}
			script = script[n:]
		}
	}
}

// sortedFields returns the pieces of what was answered, each from one status line to the next,
// with their fields in order.
func sortedFields(text string) (answers []string) {
	for n := len(text); n > 0; text = text[:n] {
		n = max(0, strings.LastIndex(text, "HTTP/1."))
		head, body, _ := strings.Cut(text[n:], "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		slices.Sort(lines[1:])
		answers = append(answers, strings.Join(lines, "\n")+"\n\n"+body)
	}
	slices.Reverse(answers)
	return answers
}

// FuzzQuickHits compares what a server with QuickHits does and one without.
func FuzzQuickHits(f *testing.F) {
	for i := range uint64(20) {
		f.Add(randomScript(i))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 3000 {
			requireAlike(t, script)
		}
	})
}

func requireAlike(t *testing.T, script []byte) (hits int) {
	quickly, slowly := transcriptOf(t, script, true), transcriptOf(t, script, false)
	hits, quickly.hits = quickly.hits, 0
	require.Equal(t, slowly, quickly, "%q", script)
	return hits
}

// randomScript returns requests, and what looks like some, in pieces.
func randomScript(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var script []byte
	for range 2 + random.IntN(6) {
		piece := quickScripts[random.IntN(len(quickScripts))]
		if cut := random.IntN(4 * len(piece)); cut >= 4 && cut <= len(piece)-4 {
			piece = piece[:cut] + []string{atOnce, shortly}[random.IntN(2)] + piece[cut:]
		}
		script = append(script, piece...)
		script = append(script, []string{"", "", atOnce, shortly}[random.IntN(4)]...)
	}
	return script
}

func TestQuickHitsDoWhatTheServerDoes(t *testing.T) {
	hits := 0
	for i := range uint64(150) {
		hits += requireAlike(t, randomScript(i))
	}
	require.Greater(t, hits, 20)
}
