package faults_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

func init() {
	roles["recovers"] = recovers
	for name, call := range singleCalls {
		roles["only "+name+" is refused"] = func(t require.TestingT, parent line) { onlyOneRefused(t, parent, call) }
	}
}

// TestNoMoreEntersAndRecover checks that the program ends even if it recovers the
// panic of an operation that the kernel refuses, because no lock is held then.
func TestNoMoreEntersAndRecover(t *testing.T) {
	needRings(t)
	nothingLeft(t)
	c := start(t, "recovers").needFilters()
	_, _, err := c.hear()
	require.ErrorIs(t, err, errHungUp)
	require.Error(t, c.cmd.Wait())
	require.Equal(t, 2, c.cmd.ProcessState.ExitCode())
	require.Contains(t, c.stderr.String(), "panic: uringwake: ")
}

func recovers(t require.TestingT, parent line) {
	canFilter(t, parent)
	require.NoError(t, uringwake.Nop(forever))
	refuse(t, unix.EPERM, unix.SYS_IO_URING_ENTER)
	for range 2 { // the second one would wait for a lock that the first has kept
		func() {
			defer func() { _ = recover() }()
			uringwake.Nop(forever)
		}()
	}
	parent.say(t, "went on")
}

// singleCalls are the system calls that a filter may refuse by themselves.
var singleCalls = map[string]uint32{"enter": unix.SYS_IO_URING_ENTER, "register": unix.SYS_IO_URING_REGISTER}

// TestFilterOfASingleCall checks that a filter that allows setting up rings but not
// using them counts as a refusal.
func TestFilterOfASingleCall(t *testing.T) {
	needRings(t)
	for name := range singleCalls {
		t.Run(name, func(t *testing.T) {
			nothingLeft(t)
			c := start(t, "only "+name+" is refused").needFilters()
			c.ends()
		})
	}
}

func onlyOneRefused(t require.TestingT, parent line, call uint32) {
	canFilter(t, parent)
	refuse(t, unix.EPERM, call)
	before := open()
	_, loop := uringwake.NewLoop(nil)
	for _, err := range []error{loop, uringwake.Supported(), uringwake.Nop(forever)} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorIs(t, err, unix.EPERM)
		require.ErrorContains(t, err, "seccomp")
	}
	require.Equal(t, 1000, countedByGoroutine(t, 1000))
	before.check(t)
}
