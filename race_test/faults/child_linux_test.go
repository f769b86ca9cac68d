package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A child is a process of this test's program in a role. It and its parent talk
// over a line. It ends with its role, with exit status 0, or at the latest with its
// parent.

const (
	roleEnv   = "VIGIL_FAULTS_ROLE"
	childLine = 3 // the child's end of the line
	inherited = 4 // the first descriptor that it was given
)

// roles are the roles of children. The files that define them add them.
var roles = map[string]func(t require.TestingT, parent line){}

// inChild fails by ending the process. The parent sees the status and the text.
type inChild struct{}

func (inChild) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format, args...)
	os.Exit(1)
}

func (inChild) FailNow() { os.Exit(1) }

type child struct {
	line
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// start starts a child that the test ends, and passes it these descriptors.
func start(t *testing.T, role string, fds ...int) *child {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	theirs := os.NewFile(uintptr(ends[1]), "line")
	defer theirs.Close()
	c := &child{line: line(ends[0]), t: t}
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role,
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // the default is a second for each
	c.cmd.ExtraFiles, c.cmd.Stderr = []*os.File{theirs}, &c.stderr
	for _, fd := range fds {
		fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		f := os.NewFile(uintptr(fd), "inherited")
		defer f.Close()
		c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, f)
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			c.kill()
		}
		unix.Close(ends[0])
	})
	return c
}

// expect receives a word, which must be that one, and returns the descriptors that
// came with it.
func (c *child) expect(word string) (fds []int) {
	c.t.Helper()
	got, fds, err := c.hear()
	if err != nil {
		c.kill()
	}
	require.NoError(c.t, err, "the child: %v\n%s", c.cmd.ProcessState, &c.stderr)
	require.Equal(c.t, word, got)
	return fds
}

// number receives a number.
func (c *child) number() (n int) {
	c.t.Helper()
	got, _, err := c.hear()
	require.NoError(c.t, err, "the child: %s", &c.stderr)
	_, err = fmt.Sscan(got, &n)
	require.NoError(c.t, err)
	return n
}

// ends waits until the child has ended by itself with status 0.
func (c *child) ends() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Wait(), "the child: %s", &c.stderr)
}

// ring returns the child's ring, which cannot be sent: the kernel does not pass the
// descriptors of rings.
func (c *child) ring(number int) (fd int, err error) {
	process, err := unix.PidfdOpen(c.cmd.Process.Pid, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(process)
	return unix.PidfdGetfd(process, number, 0)
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

// kill kills the child and waits until it has ended.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// A line carries words, and descriptors with them, between two processes.
type line int

func (l line) say(t require.TestingT, word any, fds ...int) {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Sendmsg(int(l), fmt.Append(nil, word), rights, nil, 0)
	}
	require.NoError(t, err)
}

var errHungUp = errors.New("nobody is at the other end of the line")

func (l line) hear() (word string, fds []int, err error) {
	text, rights := make([]byte, 1<<10), make([]byte, unix.CmsgSpace(8*4))
	n, m := 0, 0
	for err = unix.EINTR; err == unix.EINTR; {
		n, m, _, _, err = unix.Recvmsg(int(l), text, rights, unix.MSG_CMSG_CLOEXEC)
	}
	if err == nil && n == 0 {
		err = errHungUp
	}
	if err != nil || m == 0 {
		return string(text[:max(n, 0)]), nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err == nil {
		fds, err = unix.ParseUnixRights(&messages[0])
	}
	return string(text[:n]), fds, err
}

// expect is for the child: its parent must send that word.
func (l line) expect(t require.TestingT, word string) (fds []int) {
	got, fds, err := l.hear()
	require.NoError(t, err)
	require.Equal(t, word, got)
	return fds
}

// number is for the child too.
func (l line) number(t require.TestingT) (n int) {
	got, _, err := l.hear()
	require.NoError(t, err)
	_, err = fmt.Sscan(got, &n)
	require.NoError(t, err)
	return n
}
