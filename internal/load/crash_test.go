package load

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRunEndsHoweverTheFunctionEnds: end is called once, with what the function did.
func TestRunEndsHoweverTheFunctionEnds(t *testing.T) {
	failed := errors.New("failed")
	for name, c := range map[string]struct {
		f     func()
		value any
		runs  bool // the goroutine goes on
	}{
		"returns":               {func() {}, nil, true},
		"panics":                {func() { panic(failed) }, failed, true},
		"panics with no error":  {func() { panic("text") }, "text", true},
		"exits":                 {func() { runtime.Goexit() }, ErrGoexit, false},
		"recovers, then exits":  {func() { func() { defer func() { _ = recover() }(); panic(1) }(); runtime.Goexit() }, ErrGoexit, false},
		"exits in a panic":      {func() { defer runtime.Goexit(); panic(failed) }, ErrGoexit, false},
		"panics, then recovers": {func() { defer func() { _ = recover() }(); panic(failed) }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			ends, runs := []*PanicError{}, false
			over := make(chan struct{})
			go func() {
				defer close(over)
				Run(c.f, func(crash *PanicError) { ends = append(ends, crash) })
				runs = true
			}()
			<-over
			require.Len(t, ends, 1)
			require.Equal(t, c.runs, runs)
			if c.value == nil {
				require.Nil(t, ends[0])
				return
			}
			require.Equal(t, c.value, ends[0].Value)
			require.Contains(t, string(ends[0].Stack), "TestRunEndsHoweverTheFunctionEnds", "the stack of the function")
		})
	}
}

// TestTextsNameNoPackage: dedup and await have the same errors, so their texts name the
// module.
func TestTextsNameNoPackage(t *testing.T) {
	for _, err := range []error{ErrGoexit, ErrAbandoned, ErrCycle, Panicked("boom"), Panicked(nil)} {
		require.Regexp(t, "^vigil: ", err.Error())
	}
	require.Contains(t, Panicked("boom").Error(), "boom")
	require.ErrorIs(t, Panicked(nil), ErrGoexit)
}
