package vigilvar_test

import (
	"crypto/rand"
	"encoding/json"
	"expvar"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/vigildebug/vigilvar"
	"github.com/vigil-go/vigil/waitmap"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// things returns the names in a published variable.
func things(t *testing.T, name string) (names []string) {
	t.Helper()
	var s struct {
		Things []struct{ Kind, Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(expvar.Get(name).String()), &s))
	for _, thing := range s.Things {
		names = append(names, thing.Kind+" "+thing.Name)
	}
	return names
}

// unused returns a name that no variable has: a variable stays, even for the
// next run of a test.
func unused() string { return rand.Text() }

func TestPublish(t *testing.T) {
	var r vigildebug.Registry
	var a, b waitmap.Map[string, int]
	defer vigildebug.Map("a", &a, vigildebug.In(&r))()
	defer vigildebug.Map("b", &b)()
	defer a.Register("secret", nil).Stop()
	ofR, ofAll := unused(), unused()
	require.NoError(t, vigilvar.Publish(ofR, &r))
	require.NoError(t, vigilvar.Publish(ofAll, nil))
	require.Equal(t, []string{"map a"}, things(t, ofR))
	require.Equal(t, []string{"map b"}, things(t, ofAll))
	require.NotContains(t, expvar.Get(ofR).String(), "secret")
}

func TestPublishTwice(t *testing.T) {
	var r, other vigildebug.Registry
	twice := unused()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := vigilvar.Publish(twice, &r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.ErrorContains(t, vigilvar.Publish(twice, &other), `is another registry's`)
	require.ErrorContains(t, vigilvar.Publish("memstats", &r), `vigilvar: "memstats" is another variable's`)
	require.Contains(t, expvar.Get("memstats").String(), "Alloc")
}

func Example() {
	if err := vigilvar.Publish("vigil", nil); err != nil {
		panic(err)
	}
	// GET /debug/vars has "vigil" now, as vigildebug's page has it in JSON.
	fmt.Println(expvar.Get("vigil") != nil)
	// Output: true
}
