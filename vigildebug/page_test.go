package vigildebug_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitmap"
)

func TestOldestWaitsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r vigildebug.Registry
		var a, b waitmap.Map[string, int]
		defer vigildebug.Map("first", &a, vigildebug.In(&r), vigildebug.ShowKeys())()
		defer vigildebug.Map("second", &b, vigildebug.In(&r), vigildebug.ShowKeys())()
		for _, w := range []struct {
			m   *waitmap.Map[string, int]
			key string
		}{{&a, "old"}, {&b, "middle"}, {&a, "new"}, {&a, "old"}, {&b, "newest"}} {
			defer w.m.Register(w.key, nil).Stop()
			time.Sleep(10 * time.Second)
		}

		html := page(t, &r)
		require.Equal(t, [][]string{
			{"map first", "old", "2", "00:00:00.000", "50s"},
			{"map second", "middle", "1", "00:00:10.000", "40s"},
			{"map first", "new", "1", "00:00:20.000", "30s"},
			{"map second", "newest", "1", "00:00:40.000", "10s"},
		}, find(t, html, "Waiting longest").rows)
		require.Equal(t, [][]string{
			{"old", "2", "00:00:00.000", "50s"},
			{"new", "1", "00:00:20.000", "30s"},
		}, find(t, html, "map first").rows)
	})
}

func TestNothingToShow(t *testing.T) {
	var r vigildebug.Registry
	require.Contains(t, page(t, &r), "Nothing is registered.")
	var m waitmap.Map[string, int]
	defer vigildebug.Map("m", &m, vigildebug.In(&r))()
	require.Contains(t, page(t, &r), "No key is awaited.")
	require.Equal(t, "map m", find(t, page(t, &r), "map m").heading)
}

func TestKeysAreHidden(t *testing.T) {
	const key, value = "Bearer topsecret", "hush"
	var r vigildebug.Registry
	var a, b waitmap.Map[string, string]
	defer vigildebug.Map("a", &a, vigildebug.In(&r))()
	defer vigildebug.Map("b", &b, vigildebug.In(&r))()
	a.Store("there", value)
	for _, m := range []*waitmap.Map[string, string]{&a, &b} {
		defer m.Register(key, nil).Stop()
	}
	defer a.Register("another", nil).Stop()

	html, text := page(t, &r), ask(&r, "GET", "/debug/vigil/json").Body.String()
	for _, secret := range []string{key, "topsecret", "another", "there", value} {
		require.NotContains(t, html, ">"+secret)
		require.NotContains(t, text, secret)
	}
	hashes := make(map[string]int)
	for _, thing := range jsonOf(t, &r).Things {
		for _, w := range thing.Waits {
			require.Regexp(t, `^#[0-9a-f]{12}$`, w.Key)
			require.Contains(t, html, w.Key)
			hashes[w.Key]++
		}
	}
	require.Len(t, hashes, 2, "one hash for each key, the same in both maps")
}

func TestKeysAreShownIfAsked(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[[2]int, string]
	defer vigildebug.Map("m", &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer m.Register([2]int{3, 4}, nil).Stop()
	require.Equal(t, "[3 4]", find(t, page(t, &r), "map m").rows[0][0])
}

// A loud key is one whose String is not to be trusted.
type loud int

func (loud) String() string { panic("loud") }

func TestKeyWhoseStringPanics(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[loud, string]
	defer vigildebug.Map("shown", &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer vigildebug.Map("hidden", &m, vigildebug.In(&r))()
	defer m.Register(7, nil).Stop()
	require.Contains(t, find(t, page(t, &r), "map shown").rows[0][0], "PANIC")
	require.Regexp(t, "^#", find(t, page(t, &r), "map hidden").rows[0][0])
}

func TestNamesAndKeysAreEscaped(t *testing.T) {
	const evil = `<script>alert("1")</script>'"&amp;`
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	defer vigildebug.Map(evil, &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer m.Register(evil, nil).Stop()
	html := page(t, &r)
	require.Equal(t, 1, strings.Count(html, "<script"), "the page's own")
	require.Equal(t, evil, find(t, html, "map "+evil).rows[0][0])
	a := jsonOf(t, &r)
	require.Equal(t, evil, a.Things[0].Name)
	require.Equal(t, evil, a.Things[0].Waits[0].Key)
	require.NotContains(t, ask(&r, "GET", "/debug/vigil/json").Body.String(), "<script", "should a browser sniff")
}

func TestTextThatIsNotUTF8(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	defer vigildebug.Map("a\xffb", &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer m.Register("c\xffd", nil).Stop()
	require.Equal(t, "c\uFFFDd", find(t, page(t, &r), "map a\uFFFDb").rows[0][0])
}

func TestPagesAreBounded(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	defer vigildebug.Map("m", &m, vigildebug.In(&r), vigildebug.ShowKeys())()
	const keys = 20000
	for i := range keys {
		defer m.Register(fmt.Sprintf("%06d%s", i, strings.Repeat("ü", 1000)), nil).Stop()
	}
	html := page(t, &r)
	s := find(t, html, "map m")
	require.Len(t, s.rows, 100)
	require.Contains(t, s.caption, "19900 more keys are not shown")
	require.Regexp(t, `^000000ü{61}…$`, s.rows[0][0], "cut between letters")
	require.Regexp(t, `^000099ü`, s.rows[99][0], "the oldest are kept")
	require.Less(t, len(html), 100_000)

	a := jsonOf(t, &r)
	require.Len(t, a.Things[0].Waits, 100)
	require.Equal(t, keys-100, a.Things[0].MoreWaits)
	require.EqualValues(t, keys, a.Things[0].Metrics["awaited_keys"])
}
