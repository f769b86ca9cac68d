package programs_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// program returns the path of a server's program. Without it the test is skipped.
func program(t *testing.T, name string, elsewhere ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range elsewhere {
		if paths, _ := filepath.Glob(filepath.Join(pattern, name)); len(paths) > 0 {
			return paths[len(paths)-1]
		}
	}
	t.Skip(name + " is not installed")
	return ""
}

// daemon runs a server until the test has ended, and kills it if the test dies. Its
// output is in the log of a test that failed.
func daemon(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the end of this thread would kill the server
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGQUIT) // postgres ends its children then
		if filepath.Base(cmd.Path) != "postgres" {
			cmd.Process.Kill()
		}
		<-ended
		if text, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s\n%s", cmd.Path, text)
		}
		out.Close()
	})
}

// answers waits until a server takes connections.
func answers(t *testing.T, network, address string) {
	t.Helper()
	eventually(t, address+" takes connections", func() bool {
		conn, err := net.Dial(network, address)
		return err == nil && conn.Close() == nil
	})
}

// freePort returns a port of 127.0.0.1 that nobody uses. It is below those that the
// kernel gives to the connections of other tests.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// asNobody makes a command run under another user's id if this process is root, as
// which some servers do not run, and gives the folder to that user.
func asNobody(t *testing.T, cmd *exec.Cmd, dir string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		return cmd
	}
	var uid, gid int
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	require.NoError(t, err)
	uid, err1 := strconv.Atoi(who.Uid)
	gid, err2 := strconv.Atoi(who.Gid)
	require.NoError(t, errors.Join(err1, err2, os.Chown(dir, uid, gid)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	cmd.Dir = dir
	return cmd
}
