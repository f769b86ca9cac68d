package httpcache

import (
	"crypto/tls"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // where httptest's requests come from

// Whom the origin is told that it answers.
func TestForwardingFieldsSayWhoAsks(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*ProxyOptions)
		ask    func(*http.Request)
		header []string
		want   []string
	}{
		"what a client says about itself is replaced": {
			header: []string{
				"X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: gopher", "Forwarded: for=1.1.1.1",
				"X-Forwarded-Port: 1", "X-Forwarded-Prefix: /x", "X-Real-Ip: 1.1.1.1", "X_Forwarded_For: 1.1.1.1", "X-Forwarded_Host: evil.test",
				"Proxy: evil.test",
			},
			want: []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: http"},
		},
		"what a trusted proxy says is kept and extended": {
			change: func(o *ProxyOptions) { o.TrustedProxies = trusted },
			header: []string{
				"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2", "X-Forwarded-Host: public.test", "X-Forwarded-Proto: https",
				"Forwarded: for=1.1.1.1;proto=https", "X-Real-Ip: 1.1.1.1", "X_Forwarded_For: 3.3.3.3",
			},
			want: []string{
				"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.1", "X-Forwarded-Host: public.test", "X-Forwarded-Proto: https",
				`Forwarded: for=1.1.1.1;proto=https, for=192.0.2.1;host="example.com";proto=http`, "X-Real-Ip: 1.1.1.1",
			},
		},
		"a trusted proxy may say nothing": {
			change: func(o *ProxyOptions) { o.TrustedProxies = trusted },
			want:   []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: http"},
		},
		"another is not trusted": {
			change: func(o *ProxyOptions) { o.TrustedProxies = trusted },
			ask:    func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" },
			header: []string{"X-Forwarded-For: 1.1.1.1"},
			want:   []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: http"},
		},
		"an IPv4 address in an IPv6 one is the same": {
			change: func(o *ProxyOptions) { o.TrustedProxies = trusted },
			ask:    func(r *http.Request) { r.RemoteAddr = "[::ffff:192.0.2.9]:1" },
			header: []string{"X-Forwarded-For: 1.1.1.1"},
			want:   []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.9", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: http"},
		},
		"Forwarded": {
			change: func(o *ProxyOptions) { o.Forwarded = true },
			ask:    func(r *http.Request) { r.RemoteAddr, r.TLS = "[2001:db8::1%eth0]:1", new(tls.ConnectionState) },
			header: []string{"Forwarded: for=1.1.1.1"},
			want: []string{
				"X-Forwarded-For: 2001:db8::1", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: https",
				`Forwarded: for="[2001:db8::1]";host="example.com";proto=https`,
			},
		},
		"a client without an address": {
			change: func(o *ProxyOptions) { o.Forwarded = true },
			ask:    func(r *http.Request) { r.RemoteAddr = "@" },
			header: []string{"X-Forwarded-For: 1.1.1.1"},
			want: []string{
				"X-Forwarded-Host: example.com", "X-Forwarded-Proto: http", `Forwarded: for=unknown;host="example.com";proto=http`,
			},
		},
		"Connection does not remove them": {
			header: []string{"Connection: X-Forwarded-For, X-Forwarded-Host, Via, Forwarded"},
			change: func(o *ProxyOptions) { o.Forwarded = true },
			want: []string{
				"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: http",
				`Forwarded: for=192.0.2.1;host="example.com";proto=http`,
			},
		},
	} {
		for _, kind := range []string{"shared", "passed"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
				if test.change != nil {
					test.change(&s.opts)
				}
				r := newRequest(t.Context(), "GET", "/", test.header...)
				if kind == "passed" {
					r.Method = "POST"
				}
				if test.ask != nil {
					test.ask(r)
				}
				require.False(t, s.writeTo(newNowhere(), r))
				got := (<-s.asked).Header
				require.Equal(t, []string{"1.1 " + s.opts.Via}, got["Via"])
				for _, name := range []string{"Via", "Accept-Encoding", "User-Agent"} {
					got.Del(name)
				}
				want := http.Header{}
				addLines(want, test.want...)
				require.Equal(t, want, got)
			})
		}
	}
}

func TestOriginIsAskedByItsOwnName(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		for _, method := range []string{"GET", "POST"} {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
			s.opts.PreserveHost = preserve
			s.request(method, "http://WWW.Example.com:81/")
			r := <-s.asked
			if preserve {
				require.Equal(t, "WWW.Example.com:81", r.Host)
			} else {
				require.Empty(t, r.Host)
			}
			require.Equal(t, "origin.test", r.URL.Host)
			require.Equal(t, "www.example.com:81", r.Header.Get("X-Forwarded-Host"))
		}
	}
}

// An origin may say in the page under which name, and scheme, it was asked.
func TestPagesAreToldApartByWhatTheOriginIsToldOfTheHost(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(r.Host + r.Header.Get("X-Forwarded-Proto") + r.Header.Get("X-Forwarded-Host") + r.Header.Get("Forwarded")))
	}
	for _, preserve := range []bool{false, true} {
		s := newSite(t, page)
		s.opts.PreserveHost = preserve
		for _, from := range []string{"fetched", "hit"} {
			require.Equal(t, from, s.request("GET", "http://a.test/").cache())
			require.Equal(t, from, s.request("GET", "http://b.test/").cache())
			require.Equal(t, from, s.request("GET", "https://b.test/").cache())
		}
		require.Equal(t, "hit", s.request("GET", "http://A.test/").cache())
		require.Equal(t, "hit", s.request("GET", "http://a.test/", "X-Forwarded-Host: b.test", "Forwarded: host=b.test").cache())
		s.opts.TrustedProxies = trusted
		for _, from := range []string{"fetched", "hit"} {
			for _, header := range []string{"X-Forwarded-Host: b.test", "X-Forwarded-Proto: wss", "Forwarded: for=1.1.1.1; Host=b.test, proto=wss"} {
				require.Equal(t, from, s.request("GET", "http://c.test/", header).cache(), header)
			}
			require.Equal(t, from, s.request("GET", "http://d.test/", "X-Forwarded-Host: b.test").cache())
		}
		require.Equal(t, "hit", s.request("GET", "http://c.test/", "X-Forwarded-Host: b.test", "X-Forwarded-For: 1.2.3.4").cache(), "the address tells nothing apart")
	}
}

// What a trusted proxy says may come from its client, and show in the page.
func TestPagesAreToldApartByAllThatATrustedProxySaysButForAddresses(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"X-Forwarded-Port: 1", "X-Forwarded-Port: 2", false}, {"X-Forwarded-Prefix: /a", "X-Forwarded-Prefix: /b", false},
		{"X-Forwarded-User: a", "X-Forwarded-User: b", false}, {"X-Forwarded-Server: a", "", false},
		{`Forwarded: host="a;b"`, `Forwarded: host="a;c"`, false}, {`Forwarded: host="a,b"`, `Forwarded: host="a,c"`, false},
		{`Forwarded: host="a\";b"`, `Forwarded: host="a\";c"`, false}, {`Forwarded: host="a`, `Forwarded: host="b`, false},
		{"Forwarded: proto=http", "Forwarded: proto=https", false}, {"Forwarded: for=1.1.1.1; Proto=http", "Forwarded: for=1.1.1.1; Proto=https", false},
		{"Forwarded: path=/a", "Forwarded: path=/b", false},
		{"X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2", true}, {"X-Real-Ip: 1.1.1.1", "X-Real-Ip: 2.2.2.2", true},
		{`Forwarded: for="[::1]:1;host=a";host=x`, `Forwarded: for="[::1]:2,host=b";host=x`, true}, {"Forwarded: by=a;For=b", "Forwarded: BY=c", true},
		{"X-Forwarded-Host: a", "X-Forwarded-Host: b", false}, {"X-Forwarded-Proto: https", "", false},
	} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
		s.opts.TrustedProxies = trusted
		s.request("GET", "/", test.a)
		require.Equal(t, test.same, s.request("GET", "/", test.b).cache() == "hit", test)
		require.Equal(t, "hit", s.request("GET", "/", test.a).cache(), test)
	}
}

func TestViaGrowsAndLoopEnds(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
		s.opts.Via = "edge"
		require.Equal(t, 200, s.request(method, "/", "Via: 1.0 fred, HTTP/1.1 edge2 (edge)", "Connection: via").status)
		require.Equal(t, "1.0 fred, HTTP/1.1 edge2 (edge)|1.1 edge", strings.Join((<-s.asked).Header["Via"], "|"))
		for _, via := range []string{"1.1 edge", "1.0 fred, 2.0 EDGE (x), 1.1 last", "1.1\tedge"} {
			r := s.request(method, "/", "Via: 1.1 other", "Via: "+via, "Connection: via")
			require.Equal(t, http.StatusLoopDetected, r.status, via)
			require.Equal(t, `"edge"; error=proxy_loop_detected`, r.header.Get("Proxy-Status"))
		}
		require.Empty(t, s.asked)
	}
}

func TestProxyThatAsksItselfEnds(t *testing.T) {
	cache, err := New(nil)
	require.NoError(t, err)
	defer cache.Close()
	var self http.Handler
	loop := viaHandler{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RequestURI = r.URL.RequestURI()
		self.ServeHTTP(w, r)
	})}
	self = cache.Proxy(&url.URL{Scheme: "http", Host: "here.test"}, &ProxyOptions{Transport: loop})
	for _, method := range []string{"GET", "DELETE"} {
		w := newNowhere()
		self.ServeHTTP(w, newRequest(t.Context(), method, "/"))
		require.Equal(t, http.StatusLoopDetected, w.Code)
	}
}

func TestConnectionRemovesFieldsOfOneHopOnly(t *testing.T) {
	removable := []string{"X-Hop: 1", "Accept-Language: de", "Http2-Settings: abc", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authorization: Basic x"}
	forAll := []string{
		"Authorization: Basic x", "Cookie: a=b", "Cache-Control: max-age=5", "Pragma: x", "Content-Type: text/plain",
		"Range: bytes=0-1", "If-Range: x", "Origin: http://a.test", "User-Agent: me",
	}
	var names []string
	for _, line := range append(removable, forAll...) {
		name, _, _ := strings.Cut(line, ": ")
		names = append(names, strings.ToLower(name))
	}
	lines := append([]string{"Connection: close, host, content-length,", "Connection: " + strings.Join(names, " , ")}, append(removable, forAll...)...)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
	r := newRequest(t.Context(), "POST", "/", lines...)
	r.Body, r.ContentLength = http.NoBody, 5
	before := r.Header.Clone()
	require.False(t, s.writeTo(newNowhere(), r))
	require.Equal(t, before, r.Header, "the request is the caller's")
	got := <-s.asked
	require.EqualValues(t, 5, got.ContentLength)
	for _, line := range forAll {
		name, value, _ := strings.Cut(line, ": ")
		require.Equal(t, value, got.Header.Get(name))
	}
	for _, line := range append(removable, "Connection: ") {
		name, _, _ := strings.Cut(line, ": ")
		require.Empty(t, got.Header[http.CanonicalHeaderKey(name)], name)
	}
}

// Else the page that the origin makes without the field would be kept as that
// with it.
func TestConnectionDoesNotHideAFieldThatTellsPagesApart(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Language")
		w.Write([]byte("in " + r.Header.Get("Accept-Language")))
	})
	require.Equal(t, "in ", s.request("GET", "/", "Accept-Language: de", "Connection: accept-language").body)
	require.Equal(t, "in de", s.request("GET", "/", "Accept-Language: de").body)
	require.Equal(t, "hit", s.request("GET", "/").cache())
}

func TestRewriteHasTheLastWord(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("for " + r.Header.Get("X-User"))) })
	s.opts.Rewrite = func(pr *httputil.ProxyRequest, shared bool) {
		if shared {
			pr.Out.Header.Del("X-User")
		}
		pr.Out.Header.Set("X-Forwarded-For", pr.In.RemoteAddr)
		pr.Out.URL.Path = "/elsewhere"
	}
	require.Equal(t, "for ", s.request("GET", "/", "X-User: alice").body)
	require.Equal(t, "for bob", s.request("GET", "/", "X-User: bob", "Cookie: a=b").body)
	for range 2 {
		r := <-s.asked
		require.Equal(t, "192.0.2.1:1234", r.Header.Get("X-Forwarded-For"))
		require.Equal(t, "/elsewhere", r.URL.Path)
	}
}

func TestProxyOptionsThatMakeNoSensePanic(t *testing.T) {
	cache, err := New(nil)
	require.NoError(t, err)
	defer cache.Close()
	origin := &url.URL{Scheme: "http", Host: "origin.test"}
	for _, o := range []*ProxyOptions{{Via: "a b"}, {Via: "ä"}, {Via: `"`}, {BodyTimeout: -1}} {
		require.Panics(t, func() { cache.Proxy(origin, o) })
	}
	one, two := cache.Proxy(origin, nil).(*front), cache.Proxy(origin, nil).(*front)
	require.NotEqual(t, one.opts.Via, two.opts.Via, "one proxy before another is no loop")
}

// withoutForwarding returns h without what each request to the origin has.
func withoutForwarding(h http.Header) http.Header {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"} {
		h.Del(name)
	}
	return h
}
