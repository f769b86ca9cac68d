package vigildebug_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
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

// An oddGroup is what Group accepts though it is none of ours.
type oddGroup[K comparable] struct {
	inFlight func(yield func(K, dedup.FlightInfo) bool)
}

func (g *oddGroup[K]) InFlight() iter.Seq2[K, dedup.FlightInfo] { return g.inFlight }

// requireShown reads the page, the JSON and a Snapshot, and requires that all
// have the things a and c as they should be, and b with that error.
func requireShown(t *testing.T, r *vigildebug.Registry, err string) {
	t.Helper()
	things := r.Snapshot().Things
	require.Len(t, things, 3)
	require.Equal(t, []string{"", err, ""}, []string{things[0].Error, things[1].Error, things[2].Error})

	html := page(t, r)
	require.True(t, utf8.ValidString(html))
	for _, name := range []string{"a", "c"} {
		require.Equal(t, "key "+name, find(t, html, "group "+name).rows[0][0])
	}
	require.Empty(t, find(t, html, "group b").paths)
	require.Contains(t, html, err)
	require.NotContains(t, html, "secret")

	body := ask(r, "GET", "/debug/vigil/json").Body.String()
	require.NotContains(t, body, "secret")
	all := jsonOf(t, r).Things
	require.Equal(t, err, all[1].Error)
	require.Empty(t, all[1].Metrics)
	require.Empty(t, all[1].Waits)
	require.Len(t, all[2].Metrics, 3)
}

// TestSourceThatFails: one that panics or exits while it is read takes neither
// the page nor what comes after it along, before and after it has a history.
func TestSourceThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		fail func()
		want string
	}{
		"panic":  {func() { panic("secret") }, "reading it panicked with a string"},
		"error":  {func() { panic(errors.New("secret")) }, "reading it panicked with a *errors.errorString"},
		"Goexit": {runtime.Goexit, "reading it called runtime.Goexit"},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late %t", name, late), func(t *testing.T) {
				var r vigildebug.Registry
				failing := false
				for _, thing := range []string{"a", "b", "c"} {
					vigildebug.Group(thing, &oddGroup[string]{func(yield func(string, dedup.FlightInfo) bool) {
						yield("key "+thing, dedup.FlightInfo{Waiters: 1, Started: time.Now()})
						if thing == "b" && failing {
							c.fail()
						}
					}}, vigildebug.In(&r), vigildebug.ShowKeys())
				}
				if late { // it has samples
					require.Len(t, r.Snapshot().Things[1].History.Times, 1)
				}
				failing = true
				requireShown(t, &r, c.want)
				failing = false
				require.Len(t, r.Snapshot().Things[1].History.Times, 1, "it is read again")
			})
		}
	}
}

// A leavingKey is a key whose String method exits.
type leavingKey int

func (k leavingKey) String() string {
	if k == 1 {
		runtime.Goexit()
	}
	return fmt.Sprintf("key %d \xff", int(k))
}

// TestKeyThatExits spoils its own text only, and no text has bytes that are not
// UTF-8.
func TestKeyThatExits(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[leavingKey, int]
	defer vigildebug.Map("m", &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	for k := range leavingKey(3) {
		defer m.Register(k, nil).Stop()
	}
	var keys []string
	for _, w := range jsonOf(t, &r).Things[0].Waits {
		keys = append(keys, w.Key)
	}
	slices.Sort(keys)
	require.Equal(t, []string{"%!v(String method called runtime.Goexit)", "key 0 \uFFFD", "key 2 \uFFFD"}, keys)
	html := page(t, &r)
	require.True(t, utf8.ValidString(html))
	require.Contains(t, html, "String method called runtime.Goexit")
}

// TestTimesThatJSONLacks: a year beyond 9999 does not spoil the answer.
func TestTimesThatJSONLacks(t *testing.T) {
	var r vigildebug.Registry
	defer vigildebug.Group("g", &oddGroup[int]{func(yield func(int, dedup.FlightInfo) bool) {
		_ = yield(1, dedup.FlightInfo{Waiters: 1, Started: time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)}) &&
			yield(2, dedup.FlightInfo{Waiters: 1, Started: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)})
	}}, vigildebug.In(&r))()
	for _, w := range jsonOf(t, &r).Things[0].Waits {
		require.Equal(t, "0001-01-01T00:00:00Z", w.Since)
	}
	page(t, &r)
}
