package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// echo answers with what the origin sees of fields.
func echo(names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range names {
			value := strings.Join(r.Header[name], ", ")
			if name == "Host" {
				value = r.Host
			}
			fmt.Fprintf(w, "%s=%s\n", name, value)
		}
	})
}

func TestForwardingFlagsChangeWhatTheOriginIsTold(t *testing.T) {
	const said = "X-Forwarded-For: 192.0.2.7"
	for _, test := range []struct{ flags, has string }{
		{"-trusted-proxies=127.0.0.0/8,::1", "X-Forwarded-For=192.0.2.7, 127.0.0.1\n"},
		{"-trusted-proxies=127.0.0.1", "X-Forwarded-For=192.0.2.7, 127.0.0.1\n"},
		{"-trusted-proxies=10.0.0.0/8", "X-Forwarded-For=127.0.0.1\n"},
		{"-preserve-host", "Host=pages.test\n"},
		{"-forwarded", "Forwarded=for=127.0.0.1;host=\"pages.test\";proto=http\n"},
		{"-forwarded=false", "Forwarded=\n"},
	} {
		s := newServed(t, echo("Host", "X-Forwarded-For", "Forwarded"), test.flags)
		require.Contains(t, getWith(s.url, said, "Host: pages.test").body, test.has, test.flags)
		s.end(t)
	}
}

func TestCookieFlagsSayWhatIsShared(t *testing.T) {
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "ad_id=1")
		io.WriteString(w, r.Header.Get("Cookie"))
	}), "-ttl=1h", "-ignore-cookies=_ga,utm_*", "-key-cookies=lang", "-ignore-set-cookies=ad_*", "-name=edge 1")
	for _, test := range []struct{ cookie, from, body string }{
		{"_ga=1; lang=de", "fetched", "lang=de"},
		{"utm_a=2; lang=de", "hit", "lang=de"},
		{"lang=en", "fetched", "lang=en"},
		{"session=1", "passed", "session=1"},
	} {
		got := getWith(s.url, "Cookie: "+test.cookie)
		require.Equal(t, test.from, got.header.Get("X-Cache"), test.cookie)
		require.Equal(t, test.body, got.body)
		require.Contains(t, got.header.Get("Cache-Status"), `"edge 1"; `)
	}
	s.end(t)
}

func TestBodyTimeIsThatOfRequests(t *testing.T) {
	s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }), "-body-time=20ms")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab") // and no more
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, res.StatusCode)
	require.NoError(t, res.Body.Close())
	s.end(t)
}
