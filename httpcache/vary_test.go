package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// echoing is an origin whose pages depend on the fields named, and say how.
func echoing(vary *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), "Cache-Control: max-age=100", "Vary: "+*vary)
		if *vary == "" {
			w.Header().Del("Vary")
		}
		for name := range strings.SplitSeq(*vary, ", ") {
			io.WriteString(w, strings.Join(r.Header[http.CanonicalHeaderKey(name)], "+")+";")
		}
	}
}

func TestAnyVaryIsHonoured(t *testing.T) {
	vary := "accept-language, X-Kind"
	s := newSite(t, echoing(&vary))
	for _, test := range [][]string{
		{"fetched", "de;;", "Accept-Language: de"},
		{"fetched", "en;;", "Accept-Language: en"},
		{"fetched", ";;"},
		{"hit", "de;;", "Accept-Language: de"},
		{"hit", "en;;", "Accept-Language: en", "X-Other: 1"},
		{"fetched", "en;1;", "Accept-Language: en", "X-Kind: 1"},
		{"hit", ";;"},
	} {
		r := s.request("GET", "/", test[2:]...)
		require.Equal(t, test[0], r.cache(), test)
		require.Equal(t, test[1], r.body, test)
	}
	require.Equal(t, "hit", s.request("HEAD", "/", "Accept-Language: de").cache())
	require.Equal(t, "fetched", s.request("HEAD", "/", "Accept-Language: fr").cache())
}

func TestAcceptEncodingMattersOnlyIfTheResponseSaysSo(t *testing.T) {
	s := newSite(t, answering())
	for i, accepted := range []string{"gzip", "br", "", "identity", "gzip, br"} {
		r := s.request("GET", "/", "Accept-Encoding: "+accepted)
		require.Equal(t, i > 0, r.cache() == "hit", accepted)
	}
}

func TestWhoDoesNotAcceptACodingDoesNotGetIt(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { // says nothing of Vary
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
		}
	})
	for range 2 {
		require.Equal(t, "gzip", s.request("GET", "/", "Accept-Encoding: gzip").header.Get("Content-Encoding"))
	}
	require.Empty(t, s.request("GET", "/").header["Content-Encoding"])
	require.Len(t, s.asked, 2)
}

func TestFieldsThatMeanTheSameAreTheSame(t *testing.T) {
	for _, row := range []struct {
		name string
		same bool
		a, b []string
	}{
		{"Accept-Encoding", true, []string{"gzip, br"}, []string{"BR;q=0.5", "gzip", "deflate"}},
		{"Accept-Encoding", true, nil, []string{"identity"}},
		{"Accept-Encoding", true, nil, []string{"gzip;q=0"}},
		{"Accept-Encoding", true, nil, []string{"compress"}},
		{"Accept-Encoding", false, nil, []string{"*"}},
		{"Accept-Encoding", false, []string{"gzip"}, []string{"gzip, identity;q=0"}},
		{"Accept-Encoding", true, []string{"gzip, identity;q=0"}, []string{"gzip;q=1, *;q=0.000"}},
		{"Accept-Encoding", true, []string{"gzip, br, zstd"}, []string{"*"}},
		{"Accept-Language", true, []string{"en, de"}, []string{" DE ,, en", "en"}},
		{"Accept-Language", false, []string{"en, de"}, []string{"en, de;q=0.5"}},
		{"X-Foo", true, []string{"1, 2"}, []string{"1", "2"}},
		{"X-Foo", true, []string{"1,2"}, []string{" 1 , 2 "}},
		{"X-Foo", false, []string{"1,2"}, []string{"2,1"}},
		{"X-Foo", false, []string{"a"}, []string{"A"}},
		{"X-Foo", false, []string{`"1,2"`}, []string{`"1, 2"`}},
		{"X-Foo", false, nil, []string{""}},
		{"User-Agent", false, []string{"a, b"}, []string{"a,b"}},
	} {
		a, b := http.Header{row.name: row.a}, http.Header{row.name: row.b}
		for _, names := range [][]string{{row.name}, {row.name, "X-Other"}} {
			require.Equal(t, row.same, selecting(names, a) == selecting(names, b), row)
		}
	}
	a, b := http.Header{"A": {"1\nB 1:="}, "B": {""}}, http.Header{"A": {"1"}, "B": {"\nB 1:="}}
	require.NotEqual(t, selecting([]string{"A", "B"}, a), selecting([]string{"A", "B"}, b))
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"", "gzip", "*", "gzip;q=0,*", "*;q=0", "identity;q=0", ",;q=,=", "gzip;q=0.0;x, br ; Q=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c := codingsOf([]string{line})
		if again := codingsOf([]string{c.String()}); again != c {
			t.Errorf("%q asks for %q, which asks for %q", line, c, again)
		}
		if !strings.Contains(line, "0") && c&identity == 0 {
			t.Errorf("%q refuses nothing", line)
		}
		if lower := strings.ToLower(line); !strings.Contains(lower, "gzip") && !strings.Contains(lower, "*") && c&1 != 0 {
			t.Errorf("%q does not ask for gzip", line)
		}
	})
}

// gated is an origin that answers when it is let.
func gated(answer http.HandlerFunc) (http.HandlerFunc, chan<- bool) {
	gate := make(chan bool)
	return func(w http.ResponseWriter, r *http.Request) { <-gate; answer(w, r) }, gate
}

func TestColdRequestsAreCoalescedForEachURLAndThenForEachVariant(t *testing.T) {
	for _, says := range []string{"max-age=100", "max-age=0"} {
		synctest.Test(t, func(t *testing.T) {
			origin, gate := gated(func(w http.ResponseWriter, r *http.Request) {
				addLines(w.Header(), "Vary: X-User", "Cache-Control: "+says)
				io.WriteString(w, "for "+r.Header.Get("X-User"))
			})
			s := newSite(t, origin)
			all := map[string][]<-chan reply{}
			for i := range 12 {
				user := fmt.Sprint(i % 3)
				all[user] = append(all[user], s.later(t.Context(), "GET", "/", "X-User: "+user))
				synctest.Wait()
			}
			require.Len(t, s.asked, 1)
			gate <- true
			synctest.Wait()
			if says == "max-age=100" {
				require.Len(t, s.asked, 3)
			}
			close(gate)
			for user, got := range all {
				for _, r := range got {
					require.Equal(t, "for "+user, (<-r).body)
				}
			}
			require.LessOrEqual(t, len(s.asked), 4)
		})
	}
}

func TestErrorPageOfAnotherVariantIsNotHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin, gate := gated(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "Accept-Language")
			http.Error(w, "error in "+r.Header.Get("Accept-Language"), 500)
		})
		s := newSite(t, origin)
		first := s.later(t.Context(), "GET", "/", "Accept-Language: de")
		synctest.Wait()
		same := s.later(t.Context(), "GET", "/", "Accept-Language: DE")
		other := s.later(t.Context(), "GET", "/", "Accept-Language: en")
		synctest.Wait()
		close(gate)
		require.Equal(t, "error in de\n", (<-first).body)
		require.Equal(t, "error in de\n", (<-same).body)
		require.Equal(t, "error in en\n", (<-other).body)
		require.Len(t, s.asked, 2)
	})
}

func TestVaryMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vary := "A"
		s := newSite(t, echoing(&vary))
		ask := func(from, want string, header ...string) {
			t.Helper()
			r := s.request("GET", "/", header...)
			require.Equal(t, want, r.body)
			require.Equal(t, from, r.cache())
		}
		ask("fetched", "1;", "A: 1", "B: 1")
		vary = "A, B"
		ask("fetched", "2;1;", "A: 2", "B: 1")
		ask("fetched", "2;2;", "A: 2", "B: 2")
		ask("hit", "2;1;", "A: 2", "B: 1")
		ask("fetched", "1;2;", "A: 1", "B: 2")
		time.Sleep(100 * time.Second)
		vary = "B"
		ask("fetched", "1;", "A: 1", "B: 1")
		ask("hit", "1;", "A: 1", "B: 1")
		ask("fetched", "2;", "A: 1", "B: 2")
		vary = ""
		ask("fetched", ";", "A: 3", "B: 1")
		ask("hit", ";", "A: 1", "B: 1")
		ask("hit", ";", "A: 9", "B: 9")
		time.Sleep(100 * time.Second)
		vary = "A"
		ask("fetched", "1;", "A: 1", "B: 9")
		ask("fetched", "2;", "A: 2", "B: 9")
		vary = "*"
		ask("passed", ";", "A: 3")
		ask("hit", "1;", "A: 1", "B: 9")
	})
}

func TestValidationMayChangeVary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vary := ""
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			answering("Cache-Control: max-age=10", `ETag: "a"`, "Vary: "+vary)(w, r)
		})
		for i, want := range []string{"fetched", "revalidated", "revalidated"} {
			require.Equal(t, want, s.request("GET", "/").cache())
			time.Sleep(5 * time.Second)
			r := s.request("GET", "/")
			require.Equal(t, "hit", r.cache())
			require.Equal(t, "answer 1", r.body)
			vary = [...]string{"A", "A, B", ""}[i]
			time.Sleep(5 * time.Second)
		}
	})
}

func TestVariantsOfAURLAreBounded(t *testing.T) {
	vary := "X-User"
	s := newSite(t, echoing(&vary))
	for i := range 3 * maxVariants {
		require.Equal(t, "fetched", s.request("GET", "/", fmt.Sprint("X-User: ", i)).cache())
	}
	require.EqualValues(t, maxVariants+1, s.pages.Stats().Entries, "and a rule")
	require.Equal(t, "hit", s.request("GET", "/", fmt.Sprint("X-User: ", 3*maxVariants-1)).cache())
	require.Equal(t, "fetched", s.request("GET", "/", "X-User: 0").cache())
}

func TestWhatDependsOnTooMuchIsNotShared(t *testing.T) {
	vary := "A0"
	for i := range maxNames {
		vary += fmt.Sprint(", A", i+1)
	}
	s := newSite(t, echoing(&vary))
	require.Equal(t, "passed", s.request("GET", "/").cache())
	vary = strings.TrimSuffix(vary, fmt.Sprint(", A", maxNames))
	require.Equal(t, "passed", s.request("GET", "/").cache())
	require.Equal(t, "fetched", s.request("GET", "/").cache())
	vary = "B"
	require.Equal(t, "fetched", s.request("GET", "/", "A1: 1").cache())
	require.Equal(t, "hit", s.request("GET", "/", "A1: 2").cache(), "a rule that would get too long starts anew")
}

// However fetches of different variants and changes of Vary fall, nobody gets
// what is another's.
func TestNoWrongVariantUnderStress(t *testing.T) {
	varies := []string{"X-User", "X-User, X-B", "X-A, X-User"}
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", varies[len(r.URL.Path+r.Header.Get("X-B"))%3])
		w.Header().Set("Cache-Control", [...]string{"max-age=0", "max-age=100", "no-store"}[len(r.Header.Get("X-A"))])
		io.WriteString(w, r.Header.Get("X-User"))
	})
	done := make(chan error, 8)
	for user := range 8 {
		go func() {
			var err error
			for i := range 100 {
				want := fmt.Sprint(user % 4)
				r := s.request("GET", "/"+strings.Repeat("x", i/20), "X-User: "+want,
					"X-A: "+strings.Repeat("a", (i+user)%3), "X-B: "+strings.Repeat("b", i%5))
				if r.body != want {
					err = fmt.Errorf("user %s got %q", want, r.body)
				}
			}
			done <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-done)
	}
}

// A rule may have been put at the place of a URL while a response for it was waited for.
func TestRuleIsNoResponse(t *testing.T) {
	s := newSite(t, answering())
	place := s.keyOf("GET", newRequest(t.Context(), "GET", "/"))
	a := s.newAsk(newRequest(t.Context(), "GET", "/"), nil)
	require.True(t, (&response{home: place}).suits(a, place))
	require.False(t, (&response{home: place, rule: &rule{}}).suits(a, place))
}
