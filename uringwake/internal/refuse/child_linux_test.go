package refuse_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
)

// A verdict is a test that keeps its result to itself. The child, where the
// results are made, has the test's own.
type verdict struct {
	testing.TB
	failed, skipped string
}

func (v *verdict) Errorf(format string, args ...any) { v.failed = fmt.Sprintf(format, args...) }
func (v *verdict) Skipf(format string, args ...any)  { v.skipped = fmt.Sprintf(format, args...) }

// TestChildPasses: nothing but the child runs what is behind Child.
func TestChildPasses(t *testing.T) {
	parent := os.Getppid()
	if v := (&verdict{TB: t}); !refuse.Child(v) {
		require.Empty(t, v.failed)
		require.Empty(t, v.skipped)
		return
	}
	require.NotEqual(t, parent, os.Getpid())
	require.Contains(t, strings.Join(os.Args, " "), "-test.run=^TestChildPasses$ ")
}

// TestChildFails: and so does the parent, with the output.
func TestChildFails(t *testing.T) {
	v := &verdict{TB: t}
	if refuse.Child(v) {
		t.Fatal("on purpose")
	}
	require.Contains(t, v.failed, "on purpose")
	require.Empty(t, v.skipped)
}

// TestChildDies: a child that ends without a result did not pass.
func TestChildDies(t *testing.T) {
	for name, die := range map[string]func(){
		"exit":  func() { syscall.Exit(0) },
		"panic": func() { panic("on purpose") },
		"kill":  func() { require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGKILL)) },
	} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{TB: t}
			if refuse.Child(v) {
				die()
			}
			require.Contains(t, v.failed, "refuse: the child ")
			require.Empty(t, v.skipped)
		})
	}
}

// TestChildLeaks: TestMain's look for goroutines counts in the child.
func TestChildLeaks(t *testing.T) {
	v := &verdict{TB: t}
	if refuse.Child(v) {
		go func() { select {} }()
		return
	}
	require.Contains(t, v.failed, "found unexpected goroutines")
}

// TestChildSkips: and so does the parent, with the reason.
func TestChildSkips(t *testing.T) {
	v := &verdict{TB: t}
	if refuse.Child(v) {
		t.Skip("for a reason")
	}
	require.Contains(t, v.skipped, "for a reason")
	require.Empty(t, v.failed)
}

// TestChildIsOneSubtest: whatever it is called.
func TestChildIsOneSubtest(t *testing.T) {
	for _, name := range []string{"a.b", "aXb", "x/y", "x", "two words", "(1|2)", "[a]/\\d", "same", "same", ""} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{TB: t}
			if refuse.Child(v) {
				t.Fatalf("this is %q.", t.Name())
			}
			require.Contains(t, v.failed, fmt.Sprintf("this is %q.", t.Name()))
			require.Equal(t, 1, strings.Count(v.failed, "this is "), v.failed)
		})
	}
}

// TestChildOfChild: rules of two tests are not mixed up.
func TestChildOfChild(t *testing.T) {
	v := &verdict{TB: t}
	if refuse.Child(v) {
		t.Run("inner", func(t *testing.T) { refuse.Child(t) })
		return
	}
	require.Contains(t, v.failed, "refuse: Child of TestChildOfChild/inner within that of TestChildOfChild")
}

// TestChildTwice: the second call's rules would come too late.
func TestChildTwice(t *testing.T) {
	v := &verdict{TB: t}
	if refuse.Child(v) {
		refuse.Child(v)
		return
	}
	require.Contains(t, v.failed, "refuse: Child called twice")
}

// TestChildRunsAsTheParent: with the same -short and number of processors.
func TestChildRunsAsTheParent(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			v := &verdict{TB: t}
			if refuse.Child(v) {
				t.Fatalf("short %v, %d procs.", testing.Short(), runtime.GOMAXPROCS(0))
			}
			require.Contains(t, v.failed, fmt.Sprintf("short %v, %d procs.", testing.Short(), procs))
		})
	}
}
