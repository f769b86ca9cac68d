package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Clients choose the values of the fields that a page depends on, and how long these are.
func TestLongValuesOfFieldsTakeNoMemoryThatIsNotCounted(t *testing.T) {
	const limit = 1 << 20
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		addLines(w.Header(), "Cache-Control: max-age=60", "Vary: X-Foo")
		io.WriteString(w, "page")
	}, func(o *Options) { o.MaxBytes = limit })
	for i := range 40 {
		for j := range maxVariants {
			require.Equal(t, "fetched", s.request("GET", fmt.Sprint("/", i), "X-Foo: "+strings.Repeat("x", 8<<10)+fmt.Sprint(j)).cache())
			<-s.asked
		}
	}
	taken := 0
	for key, e := range s.pages.All() {
		if taken += len(key.vary); e.rule != nil {
			for _, place := range e.rule.places {
				taken += len(place)
			}
		}
	}
	require.Less(t, taken, limit)
}

func TestLongValuesAreToldApart(t *testing.T) {
	vary := "X-Foo, X-Bar"
	s := newSite(t, echoing(&vary))
	long := strings.Repeat("x", 1000)
	for _, from := range []string{"fetched", "hit"} {
		for _, lines := range [][]string{
			{"X-Foo: " + long}, {"X-Foo: " + long + "x"}, {"X-Bar: " + long}, {"X-Foo: " + long, "X-Bar: " + long}, {"X-Foo: " + long + "y"}, {"X-Foo: "}, nil,
		} {
			r := s.request("GET", "/", lines...)
			require.Equal(t, from, r.cache())
			want := http.Header{}
			addLines(want, lines...)
			require.Equal(t, want.Get("X-Foo")+";"+want.Get("X-Bar")+";", r.body)
		}
	}
}
