package httpcache

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TRACE and OPTIONS may be for one of the proxies on the way (RFC 9110, 7.6.2).
func TestMaxForwardsIsCounted(t *testing.T) {
	for _, test := range []struct {
		method, field string
		status        int
		origin        []string // what it gets; nil: nothing
	}{
		{"OPTIONS", "5", 200, []string{"4"}}, {"TRACE", "1", 200, []string{"0"}}, {"OPTIONS", "007", 200, []string{"6"}},
		{"OPTIONS", "99999999999999999999999", 200, []string{"9223372036854775807"}},
		{"OPTIONS", "0", 204, nil}, {"OPTIONS", "000", 204, nil}, {"TRACE", "0", 501, nil},
		{"OPTIONS", "x", 400, nil}, {"OPTIONS", "-1", 400, nil}, {"TRACE", "", 400, nil},
		{"GET", "0", 200, []string{"0"}}, {"POST", "x", 200, []string{"x"}}, // it means nothing there
	} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
		r := s.request(test.method, "/", "Max-Forwards: "+test.field)
		require.Equal(t, test.status, r.status, test)
		if test.origin == nil {
			require.Empty(t, s.asked, test)
			continue
		}
		require.Equal(t, test.origin, (<-s.asked).Header["Max-Forwards"], test)
	}
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {})
	require.Equal(t, 200, s.request("OPTIONS", "/").status)
	require.Equal(t, 400, s.request("TRACE", "/", "Max-Forwards: 1", "Max-Forwards: 2").status)
}
