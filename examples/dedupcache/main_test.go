package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// runFor runs the program with args and returns what it did.
func runFor(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = program.Run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestBadFlagsGetOneClearLineAndStatus2(t *testing.T) {
	const origin = "http://127.0.0.1:1"
	for _, test := range []struct{ args, says string }{
		{"-nonsense", "-nonsense"},
		{"-clients", "needs an argument: -clients"},
		{"-clients=many", "-clients"},
		{"-clients=0", "-clients 0: must be from 1 to 2000"},
		{"-clients=-5", "-clients -5: must be from 1 to 2000"},
		{"-clients=2001", "must be from 1 to 2000"},
		{"-keys=0", "-keys 0: must be at least 1"},
		{"-keys=-1", "-keys -1"},
		{"-zipf=1", "-zipf 1: must be above 1"},
		{"-zipf=-2", "-zipf -2"},
		{"-zipf=NaN", "-zipf NaN"},
		{"-zipf=+Inf", "-zipf +Inf"},
		{"-ttl=-1s", "-ttl -1s: must not be below 0"},
		{"-ttl=5", "-ttl"},
		{"-seed=-1", "-seed"},
		{"-duration=999ms", "-duration 999ms: must be from 1s to 10m"},
		{"-duration=-1s", "-duration -1s"},
		{"-duration=11m", "-duration 11m0s"},
		{"extra", `unexpected argument "extra"`},
		{"-listen=:8080", "-listen needs -origin"},
		{"-origin=" + origin, "-origin needs -listen"},
		{"-listen= -origin=" + origin, "-origin needs -listen"},
		{"-listen=:8080 -origin=", "-listen needs -origin"},
		{"-listen=8080 -origin=" + origin, "want host:port or :port"},
		{"-listen=:99999 -origin=" + origin, `"99999" is not a port`},
		{"-listen=:nowhere -origin=" + origin, `"nowhere" is not a port`},
		{"-listen=:0 -origin=example.org", "starts with http:// or https://"},
		{"-listen=:0 -origin=ftp://example.org", "starts with http:// or https://"},
		{"-listen=:0 -origin=http://", "no host"},
		{"-listen=:0 -origin=http://:80", "no host"},
		{"-listen=:0 -origin=http://a:99999", `"99999" is not a port`},
		{"-listen=:0 -origin=http://[::1]:0x50", "-origin"},
		{"-check=http://a:99999/", `"99999" is not a port`},
		{"-listen=:0 -origin=http://%zz", "-origin"},
		{"-listen=:0 -origin=://", "-origin"},
		{"-listen=:0 -origin=http://a:b@example.org", "scheme, host and path only"},
		{"-listen=:0 -origin=http://example.org?q=1", "scheme, host and path only"},
		{"-max-object=1k", "want a number of bytes"},
		{"-max-object=-1", "want a number of bytes"},
		{"-max-object=", "want a number of bytes"},
		{"-max-object=99999999999999999999", "want a number of bytes"},
		{"-max-bytes=9999999999GiB", "want a number of bytes"},
		{"-max-bytes=5000000000 -listen=:0", "-listen needs -origin"},
		{"-max-object=5000000000", "-max-object 5000000000: must be from"},
		{"-max-object=512", "-max-object 512: must be from 1KiB to 1GiB"},
		{"-max-object=2GiB", "-max-object 2GiB: must be from"},
		{"-max-bytes=1MiB", "-max-bytes 1MiB: must be at least -max-object, 32MiB"},
		{"-disk=x", "-disk is for the server"},
		{"-listen=:0 -disk-bytes=1MiB -origin=" + origin, "-disk-bytes 1MiB: must be at least -max-object, 32MiB"},
		{"-debug=80", `-debug "80": want host:port or :port`},
		{"-check=", "want a URL that starts with http:// or https://"},
		{"-check=example.org/", "want a URL that starts with http:// or https://"},
		{"-check=ftp://example.org/", "want a URL that starts with http:// or https://"},
		{"-check=http://", "no host"},
		{"-check=http://%zz", "-check"},
		{"-check=http://a:secret@example.org/", "-check: want a URL without a user"},
		{"-check=http://example.org/#a", "without a user and a fragment"},
		{"-check=" + origin + " -origin-time=0", "-origin-time 0s: must be above 0"},
		{"-check=" + origin + " -listen=:0", "-listen means nothing with -check"},
		{"-check=" + origin + " -seed=1", "-seed means nothing with -check"},
		{"-check=" + origin + " -ignore-set-cookies=a=b", `"a=b" is not a cookie name`},
		{"-trusted-proxies=10.0.0.0/8", "-trusted-proxies is for the server"},
		{"-trusted-proxies=10.0.0.0/99", "want networks like 10.0.0.0/8,192.0.2.1"},
		{"-trusted-proxies=10.0.0.1,,", "want networks like"},
		{"-trusted-proxies=", "want networks like"},
		{"-trusted-proxies=fe80::1%eth0", "want networks like"},
		{"-preserve-host=5", "-preserve-host"},
		{"-forwarded=5", "-forwarded"},
		{"-listen=:0 -ignore-cookies=a,,b -origin=" + origin, `-ignore-cookies: IgnoreCookies: "" is not a cookie name`},
		{"-listen=:0 -key-cookies=a;b -origin=" + origin, `-key-cookies: KeyCookies: "a;b" is not a cookie name`},
		{"-listen=:0 -ignore-set-cookies=*a* -origin=" + origin, `-ignore-set-cookies: IgnoreSetCookies: "*a*" is not a cookie name`},
		{"-listen=:0 -name=\x7f -origin=" + origin, "-name: Name has a character"},
		{"-listen=:0 -name= -origin=" + origin, "-name: must not be empty"},
		{"-listen=:0 -body-time=0 -origin=" + origin, "-body-time 0s: must be above 0"},
		{"-listen=:0 -keys=5 -origin=" + origin, "-keys is for the demo"},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, stdout, stderr := runFor(t.Context(), strings.Fields(test.args)...)
			require.Equal(t, cli.Usage, status)
			require.Empty(t, stdout)
			require.Contains(t, stderr, test.says)
			requireOneLine(t, stderr)
		})
	}
}

func TestStrangeArgumentsStayOnOneLine(t *testing.T) {
	for _, arg := range []string{"a\nb", "-clients=1\n2", "-x\r\ny", "-listen=:0\n"} {
		status, _, stderr := runFor(t.Context(), arg)
		require.Equal(t, cli.Usage, status)
		requireOneLine(t, stderr)
	}
	_, _, stderr := runFor(t.Context(), "-listen=:0", "-origin=http://a\nb")
	requireOneLine(t, stderr)
}

func requireOneLine(t *testing.T, stderr string) {
	t.Helper()
	require.True(t, strings.HasPrefix(stderr, "dedupcache: "), stderr)
	require.Equal(t, strings.Index(stderr, "\n"), len(stderr)-1, "%q is not one line", stderr)
}

func TestHelpNamesEveryFlag(t *testing.T) {
	for _, flag := range []string{"-h", "-help", "--help"} {
		status, stdout, stderr := runFor(t.Context(), flag)
		require.Equal(t, cli.OK, status)
		require.Empty(t, stderr)
		for _, name := range []string{"-duration", "-clients", "-keys", "-zipf", "-seed", "-ttl", "-listen", "-origin",
			"-max-object", "-max-bytes", "-debug", "-check", "-trusted-proxies", "-preserve-host", "-forwarded",
			"-ignore-cookies", "-key-cookies", "-ignore-set-cookies", "-name", "-disk", "-disk-bytes"} {
			require.Contains(t, stdout, "\n  "+name+" ")
		}
		for line := range strings.Lines(stdout) {
			require.LessOrEqual(t, len(line), 80, line)
		}
	}
}

func TestAddressInUseGetsOneLineAndStatus1(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()

	for _, args := range [][]string{
		{"-listen", taken.Addr().String(), "-origin", "http://127.0.0.1:1"},
		{"-debug", taken.Addr().String()},
	} {
		status, stdout, stderr := runFor(t.Context(), args...)
		require.Equal(t, cli.Failed, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, taken.Addr().String())
		requireOneLine(t, stderr)
	}
}

func TestDebugShowsWhoWaits(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- true; <-answer }), "-debug", "127.0.0.1:0")
	got := make(chan reply, 1)
	go func() { got <- get(s.url + "/secret") }()
	<-asked
	page := get(s.debug)
	require.Equal(t, 200, page.status)
	require.Contains(t, page.body, "pages")
	require.NotContains(t, page.body, "secret", "addresses are not for everybody")
	close(answer)
	<-got
	s.end(t)
}

func TestDemoComparesTheSameRequests(t *testing.T) {
	status, stdout, stderr := runFor(t.Context(), "-duration=1s", "-clients=30", "-keys=4", "-seed=7")
	require.Equal(t, cli.OK, status, stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "seed 7")
	require.Contains(t, stdout, "without coalescing  with coalescing\n")
	for _, row := range []string{"requests", "cache hits", "stale", "coalesced", "origin requests", "at once for a page", "most waiters", "latency p99", "requests per second"} {
		require.Contains(t, stdout, row)
	}
	require.Contains(t, stdout, "With coalescing the origin was asked ")
	require.NotContains(t, stdout, "\r", "this is not a terminal")

	once := strings.Fields(stdout[strings.Index(stdout, "at once for a page"):])
	require.Equal(t, "1", once[6], "one load for each page")
	cells := strings.Fields(stdout[strings.Index(stdout, "\nrequests "):])
	if !strings.Contains(stdout, "cut off") { // as on a machine that is very busy
		require.Equal(t, cells[1], cells[2], "both made the same requests")
	}
}

func TestDemoThatIsInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt"))
	status, _, stderr := runFor(ctx, "-clients=1")
	require.Equal(t, cli.Failed, status)
	require.Equal(t, "dedupcache: stopped: interrupt\n", stderr)
}

// A test server and a program that serves it. Nothing here is timed.
type served struct {
	url    string
	debug  string // the window's, if there is one
	stop   context.CancelFunc
	status chan int
	stdout *lines
	stderr *lines
}

// lines hands on what is written, a line at a time.
type lines struct{ c chan string }

func (l *lines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		l.c <- strings.TrimSuffix(line, "\n")
	}
	return len(b), nil
}

func newServed(t *testing.T, origin http.Handler, flags ...string) *served {
	behind := httptest.NewServer(origin)
	t.Cleanup(behind.Close)
	ctx, stop := context.WithCancel(t.Context())
	s := &served{stop: stop, status: make(chan int, 1)}
	s.stdout, s.stderr = &lines{make(chan string, 100)}, &lines{make(chan string, 100)}
	args := append([]string{"-listen", "127.0.0.1:0", "-origin", behind.URL}, flags...)
	go func() { s.status <- program.Run(ctx, args, s.stdout, s.stderr); close(s.stdout.c) }()

	if slices.Contains(flags, "-debug") {
		_, s.debug, _ = strings.Cut(<-s.stdout.c, "all waits and loads: ")
	}
	s.url = addressIn(t, s.stdout)
	return s
}

// addressIn reads the program's greeting and returns where it listens.
func addressIn(t *testing.T, out *lines) string {
	require.Contains(t, <-out.c, "serving http://")
	_, url, ok := strings.Cut(<-out.c, "on      ")
	require.True(t, ok)
	require.Contains(t, <-out.c, "keeping pages of up to 32MiB, 512MiB in all")
	return url
}

// end stops the program and returns the rest of what it printed.
func (s *served) end(t *testing.T) string {
	s.stop()
	require.Equal(t, cli.OK, <-s.status)
	var rest []string
	for line := range s.stdout.c {
		rest = append(rest, line)
	}
	return strings.Join(rest, "\n")
}

func TestServeDrainsOnASignal(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-answer
		w.Write([]byte("late but whole"))
	}))
	got := make(chan reply, 1)
	go func() { got <- get(s.url + "/slow") }()
	<-asked

	s.stop()
	require.Equal(t, "draining for 10s at most, running: 1", <-s.stdout.c)
	require.Eventually(t, func() bool { // no newcomer gets in
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond)
	require.Empty(t, s.status, "it waits for the one that is running")

	close(answer)
	require.Equal(t, "late but whole", (<-got).body)
	table := s.end(t)
	require.Regexp(t, `requests +1\n`, table)
	require.Regexp(t, `origin requests +1\n`, table)
}

func TestDrainHasAnEnd(t *testing.T) {
	asked := make(chan bool, 1)
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-r.Context().Done()
	}))
	defer behind.Close()
	cfg, err := parse([]string{"-listen", "127.0.0.1:0", "-origin", behind.URL})
	require.NoError(t, err)
	cfg.drain = time.Millisecond

	ctx, stop := context.WithCancel(t.Context())
	out, done := &lines{make(chan string, 100)}, make(chan error)
	go func() { done <- serve(ctx, cfg, out, out) }()
	url := addressIn(t, out)
	got := make(chan reply, 1)
	go func() { got <- get(url + "/never") }()
	<-asked
	stop()
	require.NoError(t, <-done)
	require.Contains(t, <-out.c, "running: 1")
	require.Contains(t, <-out.c, "time is up, cut off: 1")
	<-got // an error page or a closed connection, but not for ever
}

func TestServeCoalescesAndCaches(t *testing.T) {
	asked, answer := make(chan bool, 10), make(chan bool)
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-answer
		w.Write([]byte("page " + r.URL.RequestURI()))
	}), "-ttl=1h")
	got := make(chan reply)
	const callers = 8
	for range callers {
		go func() { got <- get(s.url + "/a?b=c") }()
	}
	<-asked
	close(answer)
	for range callers {
		require.Equal(t, "page /a?b=c", (<-got).body)
	}
	last := get(s.url + "/a?b=c")
	require.Equal(t, "hit", last.header.Get("X-Cache"))
	require.Empty(t, asked, "one question for all")
	require.Regexp(t, `origin requests +1\n`, s.end(t))
}

// A reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func get(url string) reply { return send("GET", url) }

// getWith is get with header lines like "Cookie: a=b".
func getWith(url string, lines ...string) reply { return send("GET", url, lines...) }

func send(method, url string, lines ...string) reply {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return reply{err: err}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if r.Header.Add(name, value); name == "Host" {
			r.Host = value
		}
	}
	res, err := client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(body), err}
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
