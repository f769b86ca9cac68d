package vigildebug_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitmap"
)

// A badKey is a key whose String method fails.
type badKey struct{ _ int }

func (k *badKey) String() string { panic("no name") }

func TestKeyThatCannotBePrintedSpoilsNothing(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[*badKey, int]
	defer vigildebug.Map("m", &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer m.Register(new(badKey), nil).Stop()
	defer m.Register(nil, nil).Stop()
	rows := find(t, page(t, &r), "map m").rows
	require.Len(t, rows, 2)
	require.Contains(t, rows[0][0]+rows[1][0], "PANIC=String method: no name")
}

func TestHandlerBelowOtherPrefixes(t *testing.T) {
	var r vigildebug.Registry
	for prefix, mounted := range map[string]http.Handler{
		"/x/":         r.Handler(),
		"/":           r.Handler(),
		"/json/":      r.Handler(),
		"/stripped/":  http.StripPrefix("/stripped", r.Handler()),
		"/stripped2/": http.StripPrefix("/stripped2/", r.Handler()),
	} {
		for path, want := range map[string]string{"": "text/html", "?format=json": "application/json", "json": "application/json", "nothing": "text/plain"} {
			w := httptest.NewRecorder()
			mounted.ServeHTTP(w, httptest.NewRequest("GET", prefix+path, nil))
			require.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), want), "%s%s: %v", prefix, path, w.Header())
			require.Equal(t, path == "nothing", w.Code == http.StatusNotFound)
		}
	}
}
