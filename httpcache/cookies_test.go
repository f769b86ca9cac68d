package httpcache

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCookiesThatDoNotMatterAreIgnored(t *testing.T) {
	s := newSite(t, answering("Vary: Cookie"), func(o *Options) { o.IgnoreCookies = []string{"_ga*", "theme"} })
	for i, lines := range [][]string{
		{"Cookie: _ga=1; _gat=2;theme=dark"}, {}, {"Cookie: theme=light"}, {"Cookie: _ga", "Cookie: ;"},
	} {
		r := s.request("GET", "/", lines...)
		require.Equal(t, i > 0, r.cache() == "hit", lines)
	}
	require.Empty(t, (<-s.asked).Header["Cookie"], "a shared fetch is made without them")
	for _, line := range []string{"Cookie: theme=dark; user=bob", "Cookie: themes=1", "Cookie: a_ga=1", "Cookie: Theme=1", "Cookie: theme"} {
		from := s.request("GET", "/", line).cache()
		if strings.HasSuffix(line, "theme") {
			require.Equal(t, "hit", from)
			continue
		}
		require.Equal(t, "passed", from, line)
		require.Equal(t, strings.TrimPrefix(line, "Cookie: "), (<-s.asked).Header.Get("Cookie"))
	}
}

func TestCookiesOfTheKeyTellPagesApart(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header["Cookie"]) },
		func(o *Options) { o.IgnoreCookies, o.KeyCookies = []string{"*"}, []string{"lang", "ab_*"} })
	for _, row := range [][]string{
		{"fetched", "[lang=de]", "Cookie: lang=de; x=1"},
		{"hit", "[lang=de]", "Cookie: y=2; lang=de"},
		{"fetched", "[lang=en]", "Cookie: lang=en"},
		{"fetched", "[]"},
		{"hit", "[]", "Cookie: lan=1"},
		{"fetched", "[ab_1=x; lang=de]", "Cookie: lang=de", "Cookie: ab_1=x"},
		{"hit", "[ab_1=x; lang=de]", "Cookie: ab_1=x; lang=de"},
		{"fetched", "[lang=de; lang=en]", "Cookie: lang=de; lang=en"},
		{"fetched", "[lang=en; lang=de]", "Cookie: lang=en; lang=de"},
	} {
		r := s.request("GET", "/", row[2:]...)
		require.Equal(t, row[:2], []string{r.cache(), r.body}, row)
	}
}

func TestCookiesThatAreSetWithoutNeedAreDropped(t *testing.T) {
	for _, row := range []struct{ lines, want string }{
		{"Set-Cookie: lb=1; Path=/", ""},
		{"Set-Cookie: lb=1|Set-Cookie: lb2=1", ""},
		{"Set-Cookie: lb=1|Set-Cookie: session=1", "[lb=1 session=1]"},
		{"Set-Cookie: LB=1", "[LB=1]"},
		{"Set-Cookie: lb=1|Cache-Control: private", "[lb=1]"},
		{"Set-Cookie: lb=1|Vary: *", "[lb=1]"},
	} {
		s := newSite(t, answering(strings.Split(row.lines, "|")...), func(o *Options) { o.IgnoreSetCookies = []string{"lb*"} })
		first, second := s.request("GET", "/"), s.request("GET", "/")
		if row.want == "" {
			require.Equal(t, "fetched hit", first.cache()+" "+second.cache(), row)
			require.Empty(t, first.header["Set-Cookie"])
			require.Empty(t, second.header["Set-Cookie"])
			continue
		}
		require.Equal(t, "passed passed", first.cache()+" "+second.cache(), row)
		require.Equal(t, row.want, fmt.Sprint(first.header["Set-Cookie"]))
		require.Equal(t, row.want, fmt.Sprint(second.header["Set-Cookie"]))
	}
}

func TestNamesOfCookiesAreChecked(t *testing.T) {
	for _, bad := range []string{"", "a=b", "a;", "a*b", "**", "a b"} {
		for _, o := range []*Options{{IgnoreCookies: []string{bad}}, {KeyCookies: []string{"a", bad}}, {IgnoreSetCookies: []string{bad}}} {
			_, err := New(o)
			require.ErrorContains(t, err, "Cookies: \""+bad+"\" is not a cookie name", bad)
		}
	}
}
