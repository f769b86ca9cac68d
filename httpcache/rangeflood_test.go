package httpcache

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func ranges(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%d-%d", 2*i, 2*i))
	}
	return "Range: bytes=" + strings.Join(all, ",")
}

// Each range takes some hundred bytes of the answer, and more time than what is in it.
func TestManyRangesAreIgnored(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
	require.Equal(t, "fetched", s.request("GET", "/").cache())
	r := s.request("GET", "/", ranges(maxRanges))
	require.Equal(t, http.StatusPartialContent, r.status)
	require.Equal(t, maxRanges, strings.Count(r.body, "Content-Range"))
	for _, lines := range [][]string{{ranges(maxRanges + 1)}, {ranges(10_000)}, {"Range: bytes=" + strings.Repeat(",", 200) + "1-2"}} {
		r = s.request("GET", "/", lines...)
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, body, r.body)
		require.Equal(t, "hit", r.cache())
	}
}
