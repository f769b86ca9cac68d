package httpcache

import (
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Clients that want others to get what is not for them, or to keep what is not
// for all.

// unkeyed are header fields that no page should depend on.
var unkeyed = []string{
	"X-Forwarded-Host: evil.test", "X-Forwarded-Scheme: http", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1",
	"X-Forwarded-Server: evil.test", "X-Forwarded-Prefix: /evil", "X-Forwarded-For: 1.1.1.1", "X-Real-Ip: 1.1.1.1",
	"Forwarded: host=evil.test", "X-Host: evil.test", "X-Original-Host: evil.test", "X-Http-Host-Override: evil.test",
	"X-Original-Url: /evil", "X-Rewrite-Url: /evil", "X-Http-Method-Override: POST", "X-Http-Method: DELETE", "X-Method-Override: PUT",
	"Fastly-Client-Ip: 1.1.1.1", "Fastly-Host: evil.test", "True-Client-Ip: 1.1.1.1", "Cf-Connecting-Ip: 1.1.1.1", "X-Client-Ip: 1.1.1.1",
	"Accept-Language: xx", "Accept: text/evil", "Accept-Charset: evil", "Accept-Datetime: x", "User-Agent: <script>", "Referer: http://evil.test",
	"Origin: http://evil.test", "X-Wap-Profile: http://evil.test", "X-Cache: hit", "Via: 1.1 evil", "Transfer_Encoding: chunked", "Proxy: http://evil.test",
}

func TestFieldsThatThePageDoesNotDependOnAreNotInTheKey(t *testing.T) {
	require.Greater(t, len(unkeyed), 14)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	require.Equal(t, "fetched", s.request("GET", "/").cache())
	for _, line := range unkeyed {
		r := s.request("GET", "/", line)
		require.Equal(t, "page", r.body)
		require.Contains(t, []string{"hit", "passed"}, r.cache(), line)
	}
	require.Equal(t, "hit", s.request("GET", "/").cache())
}

// The fields with which pages are poisoned most: an origin may believe them, and
// does not say so by Vary.
func TestFieldsThatMoveThePageElsewhereDoNotPoisonIt(t *testing.T) {
	for _, line := range unkeyed {
		name, value, _ := strings.Cut(line, ": ")
		if !isForwarding(name) && !strings.HasPrefix(name, "X-Http-Method") && name != "X-Method-Override" &&
			name != "X-Original-Url" && name != "X-Rewrite-Url" && name != "Proxy" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from "+r.Header.Get(name)) })
			s.request("GET", "/", line)
			r := s.request("GET", "/")
			if value != "http" { // which is so
				require.NotContains(t, r.body, value)
			}
		})
	}
}

// What else the origin shows of a header, without Vary, goes to all; so a shared
// fetch can be made without it.
func TestRewriteDropsWhatWouldPoisonThePage(t *testing.T) {
	for _, drop := range []bool{false, true} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "from "+r.Header.Get("X-Host")) })
		if drop {
			s.opts.Rewrite = func(pr *httputil.ProxyRequest, shared bool) {
				if shared {
					pr.Out.Header.Del("X-Host")
				}
			}
		}
		s.request("GET", "/", "X-Host: evil.test")
		r := s.request("GET", "/")
		require.Equal(t, "hit", r.cache())
		require.Equal(t, !drop, strings.Contains(r.body, "evil"))
	}
}

// Nothing that a client sends is taken for the page of another path, or keeps
// what belongs to a user.
func TestPathsAreNotTakenForEachOther(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/base/account") && r.Header.Get("Cookie") != "" {
			w.Header().Set("Cache-Control", "no-store")
			io.WriteString(w, "secret of "+r.Header.Get("Cookie"))
			return
		}
		io.WriteString(w, "at "+r.URL.RequestURI())
	})
	for _, path := range []string{
		"/account.php", "/account.php/x.css", "/account.php;x.css", "/account.php%3Bx.css", "/account.php%2Fx.css", "/account.php%2fx.css",
		"/account.php%00x.css", "/account.php%00.css", "/account.php%0Ax.css", "/account.php%09x.css", "/account.php%23x.css", "/account.php%3Fx.css",
		"/account.php?x.css", "/account.php?", "/account.php//x.css", "//account.php", "///account.php", "/account.php/", "/account.php/.",
		"/account%2ephp", "/Account.php", "/account.php%20", "/account.php%5Cx.css", "/./account.php", "/account.php/%2e/x.css",
		"/account.php~x.css", "/account.php,x.css", "/account.php$x.css", "/account.php@x.css", "/account.php%26x.css", "/account.php%25%30%30x",
	} {
		r := s.request("GET", path, "Cookie: victim")
		require.Equal(t, "passed", r.cache(), path)
		r = s.request("GET", path)
		require.Equal(t, "fetched", r.cache(), "%s is not the page of another path", path)
		require.Equal(t, "at /base"+path, r.body)
		require.Equal(t, "hit", s.request("GET", path).cache())
	}
}

// The origin may be somewhere below another's.
func TestNoPathLeavesThatOfTheOrigin(t *testing.T) {
	for _, path := range []string{
		"/..", "/../x", "/../../x", "/a/../x", "/a/..", "/a/../../x", "/%2e%2e/x", "/%2E%2E/x", "/.%2e/x", "/%2e./x", "/..%2fx", "/..%2Fx", "/a%2f..%2fx",
		"/%2e%2e%2fx", `/..%5cx`, `/..%5Cx`, `/a%5c..%5cx`, "/%252e%252e/x", "/%252e%252e%252fx", "/..%252fx", "/%25252e%25252e/x", "/..;/x", "/..;a=b/x",
		"/%2e%2e;/x", "/..%3b/x", "/..%00/x", "/..%20/x", "/..%09/x", "/..%3fx", "/..%23x", "/%25%32e%2e/x", "//../x", "/./../x", "/x/%2e%2e",
	} {
		for _, method := range []string{"GET", "POST"} {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
			r := s.request(method, path)
			require.Equal(t, http.StatusBadRequest, r.status, path)
			require.Empty(t, s.asked, path)
		}
	}
	for _, path := range []string{
		"/...", "/..x", "/x..", "/a..b/c", "/.", "/./x", "//x", "/x//y", "//evil.test/x", "/%2f/x", "/%5cx", "/x?..", "/x?/../y", "/x;..", "/100%25", "/%25zz",
	} {
		for _, method := range []string{"GET", "POST"} {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
			s.request(method, path)
			r := <-s.asked
			require.Equal(t, "/base"+path, r.URL.RequestURI())
			require.Equal(t, "origin.test", r.URL.Host)
		}
	}
}

func TestLongPathIsDecodedInOnePass(t *testing.T) {
	require.False(t, hasDotDot("/"+strings.Repeat("%25", 1<<20)))
	require.Equal(t, "%", decoded("%25"+strings.Repeat("25", 1<<20)))
	require.True(t, hasDotDot("/%"+strings.Repeat("25", 1<<20)+"2e./x"))
}

// Some origins, those of CGI and WSGI for instance, take an underscore for a hyphen.
func TestFieldsWithUnderscoresDoNotPoisonThePage(t *testing.T) {
	for _, line := range []string{
		"X_HTTP_Method_Override: POST", "X_Http-Method: DELETE", "X-Method_Override: PUT", "X_Original_URL: /evil", "X-Rewrite_Url: /evil",
		"Accept_Language: evil", "Accept_Encoding: evil", "User_Agent: evil", "If_None_Match: *", "If-Modified_Since: x", "Sec_Fetch_Mode: evil",
		"X_Requested_With: evil", "Content_Length: 1", "Transfer_Encoding: chunked", "Cache_Control: no-store",
	} {
		name, _, _ := strings.Cut(line, ": ")
		plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			for name, values := range r.Header {
				if http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) == plain && values[0] != "" && plain != "Accept-Encoding" {
					io.WriteString(w, "evil")
				}
			}
			addLines(w.Header(), "Vary: "+plain)
		})
		s.request("GET", "/", line)
		require.Empty(t, s.request("GET", "/").body, line)
	}
}
