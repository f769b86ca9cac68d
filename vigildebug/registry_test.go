package vigildebug_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

func names(r *vigildebug.Registry) (all []string) {
	for _, thing := range r.Snapshot().Things {
		all = append(all, thing.Kind+" "+thing.Name)
	}
	return all
}

func TestNamesAreUniqueWithinAKind(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	var n notify.Notify
	in := vigildebug.In(&r)
	vigildebug.Map("b", &m, in)
	second := vigildebug.Map("b", &m, in)
	vigildebug.Map("b", &m, in)
	vigildebug.Map("a", &m, in)
	vigildebug.Notify("b", &n, in)
	require.Equal(t, []string{"map a", "map b", "map b#2", "map b#3", "notify b"}, names(&r))

	second()
	second()
	require.Equal(t, []string{"map a", "map b", "map b#3", "notify b"}, names(&r))
	vigildebug.Map("b", &m, in)
	require.Equal(t, []string{"map a", "map b", "map b#2", "map b#3", "notify b"}, names(&r), "the name was free again")
}

func TestUnregisterRemovesOnlyItsOwn(t *testing.T) {
	var r vigildebug.Registry
	var m waitmap.Map[string, int]
	unregister := vigildebug.Map("m", &m, vigildebug.In(&r))
	unregister()
	defer vigildebug.Map("m", &m, vigildebug.In(&r))()
	unregister()
	require.Equal(t, []string{"map m"}, names(&r))
}

// TestUnregisteredIsNotKeptAlive, even by a reference to the function that unregistered it.
func TestUnregisteredIsNotKeptAlive(t *testing.T) {
	var r vigildebug.Registry
	m := new(waitmap.Map[string, int])
	alive := weak.Make(m)
	unregister := vigildebug.Map("m", m, vigildebug.In(&r))
	m = nil
	runtime.GC()
	require.Equal(t, []string{"map m"}, names(&r))
	require.NotNil(t, alive.Value(), "the registry holds it")
	unregister()
	for alive.Value() != nil {
		runtime.GC()
	}
	unregister()
	require.Empty(t, names(&r))
}

func TestMisusePanics(t *testing.T) {
	for want, f := range map[string]func(){
		"vigildebug: nil map":              func() { vigildebug.Map[int, int]("x", nil) },
		"vigildebug: nil group":            func() { vigildebug.Group("x", (*dedup.Group[int, int])(nil)) },
		"vigildebug: nil cache":            func() { vigildebug.Cache[int, int]("x", (*dedup.Cache[int, int])(nil)) },
		"vigildebug: nil notify":           func() { vigildebug.Notify("x", nil) },
		"vigildebug: nil waitgroup":        func() { vigildebug.WaitGroup("x", (*waitgroup.Group)(nil)) },
		"vigildebug: nil mutex":            func() { vigildebug.Mutex("x", nil) },
		"vigildebug: nil rwmutex":          func() { vigildebug.RWMutex("x", nil) },
		"vigildebug: nil semaphore":        func() { vigildebug.Semaphore("x", nil) },
		"vigildebug: nil queue":            func() { vigildebug.Queue[int]("x", nil) },
		"vigildebug: nil loop":             func() { vigildebug.Loop("x", (*uringwake.Loop)(nil)) },
		"vigildebug: In of a nil Registry": func() { vigildebug.In(nil) },
	} {
		require.PanicsWithValue(t, want, f)
	}
	require.Empty(t, vigildebug.Default().Snapshot().Things)
}

// TestComeAndGoWhileRead: registering, unregistering, waiting, storing and
// reading at the same time. The race detector watches.
func TestComeAndGoWhileRead(t *testing.T) {
	var r vigildebug.Registry
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 200 {
				var m waitmap.Map[int, string]
				unregister := vigildebug.Map(fmt.Sprint("m", i%3), &m, vigildebug.In(&r), vigildebug.ShowKeys())
				f := m.Register(i, nil)
				if g%2 == 0 {
					m.Store(i, "v")
				}
				f.Stop()
				unregister()
			}
		})
	}
	for _, path := range []string{"/debug/vigil/", "/debug/vigil/json"} {
		all.Go(func() {
			for range 100 {
				if w := ask(&r, "GET", path); w.Code != 200 {
					t.Error(w.Code, w.Body)
				}
			}
		})
	}
	all.Wait()
	require.Empty(t, r.Snapshot().Things)
}
