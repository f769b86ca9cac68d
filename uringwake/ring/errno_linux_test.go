package ring

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestErrnoGate(t *testing.T) {
	for _, test := range []struct {
		call        string
		e           unix.Errno
		unsupported bool
	}{
		{"io_uring_setup", unix.ENOSYS, true},
		{"io_uring_setup", unix.EPERM, true},
		{"io_uring_setup", unix.EINVAL, false},
		{"io_uring_setup", unix.ENOMEM, false},
		{"io_uring_register", unix.EPERM, false},
		{"io_uring_register", unix.EOPNOTSUPP, true},
		{"io_uring_register", unix.EINVAL, false},
		{"io_uring_enter", unix.EINTR, false},
		{"io_uring_enter", unix.EOPNOTSUPP, true},
		{"io_uring completion", unix.EPERM, false},
		{"io_uring completion", unix.EINVAL, false},
		{"mmap", unix.ENOMEM, false},
	} {
		t.Run(fmt.Sprint(test.call, " ", test.e), func(t *testing.T) {
			err := wrap(test.call, test.e)
			require.ErrorIs(t, err, test.e)
			require.Equal(t, test.unsupported, errors.Is(err, errors.ErrUnsupported))
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.call, e.Call)
			require.EqualError(t, err, test.call+": "+test.e.Error())
		})
	}
}

// Hazard: a zero errno is never a non-nil error.
func TestZeroErrnoIsNoError(t *testing.T) {
	require.True(t, wrap("io_uring_enter", 0) == nil)
	require.True(t, wrapIf("io_uring_enter", 0, func(unix.Errno) bool { return true }) == nil)
	require.True(t, wrapRegister(-1, RegisterProbe, 0) == nil)
	require.True(t, (&CQE{Res: 0}).Err() == nil)
	require.True(t, (&CQE{Res: 5}).Err() == nil)
	require.Zero(t, errnoOf(nil))
}

func TestErrnoOf(t *testing.T) {
	require.Equal(t, unix.EBADF, errnoOf(unix.EBADF))
	require.Equal(t, unix.EBADF, errnoOf(wrap("close", unix.EBADF)))
	require.Equal(t, unix.EINVAL, errnoOf(errors.New("no errno")))
}

func TestCompletionError(t *testing.T) {
	c := CQE{Res: -int32(unix.ECANCELED)}
	require.ErrorIs(t, c.Err(), unix.ECANCELED)
}

// EINVAL of an opcode that no kernel has is told from EINVAL of an argument.
func TestUnknownRegistrationIsUnsupported(t *testing.T) {
	r, err := Setup(2, nil)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	err = r.reg.do(1<<16, nil, 0)
	require.ErrorIs(t, err, unix.EINVAL)
	if _, e := register(noSuchFD, 1<<16, nil, 0); e == unix.EBADF {
		t.Skip("before Linux 6.0 the kernel looks at the file first")
	}
	require.ErrorIs(t, err, errors.ErrUnsupported)
	err = r.reg.do(RegisterEnableRings, nil, 0) // it is enabled
	require.NotErrorIs(t, err, errors.ErrUnsupported)
	err = r.reg.do(RegisterProbe, nil, 1000)
	require.ErrorIs(t, err, unix.EINVAL)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

// The flags that unknownSetup tries alone are accepted alone by a kernel that
// knows them all.
func TestCompanionsAreAccepted(t *testing.T) {
	if _, err := Query(); err != nil {
		t.Skip("before Linux 6.18:", err)
	}
	if _, err := GetProbe(); err != nil {
		t.Skip(err)
	}
	for flag, with := range companions {
		require.False(t, refusesSetup(flag|with), "flag %#x", flag)
	}
	require.False(t, refusesNoMmap())
	require.True(t, refusesSetup(1<<30))
	require.False(t, unknownSetup(SetupTaskrunFlag, unix.EINVAL), "it is known, and not so alone")
	require.True(t, unknownSetup(SetupTaskrunFlag|1<<30, unix.EINVAL))
	require.False(t, unknownSetup(1<<30, unix.ENOMEM))
}

// Options that a kernel has not got are refused before it is asked.
func TestWaitOptionsNeedFeatures(t *testing.T) {
	for name, test := range map[string]struct {
		o    WaitOptions
		need uint32
		flag uint32
	}{
		"timeout":   {WaitOptions{Timeout: &Timespec{}}, FeatExtArg, EnterExtArg},
		"mask":      {WaitOptions{Sigmask: new(uint64)}, FeatExtArg, EnterExtArg},
		"absolute":  {WaitOptions{Timeout: &Timespec{}, Absolute: true}, FeatExtArg, EnterExtArg},
		"min wait":  {WaitOptions{MinWait: 1000}, FeatExtArg | FeatMinTimeout, EnterExtArg},
		"no iowait": {WaitOptions{NoIOWait: true}, FeatNoIOWait, EnterNoIOWait},
		"none":      {WaitOptions{}, 0, 0},
	} {
		flags, err := test.o.flags(test.need)
		require.NoError(t, err, name)
		require.Equal(t, test.flag, flags, name)
		if test.need != 0 {
			_, err = test.o.flags(^test.need)
			require.ErrorIs(t, err, errors.ErrUnsupported, name)
		}
	}
}
