package etcdengine_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

var (
	bg    = context.Background()
	quiet = slog.New(slog.DiscardHandler)
)

const missing = "there is no etcd on the PATH, nor in the environment as VIGIL_TEST_ETCD; Debian has it in its package etcd-server"

// binary returns the path of the etcd server, or an empty string if there is none.
func binary() string {
	if path := os.Getenv("VIGIL_TEST_ETCD"); path != "" {
		return path
	}
	path, _ := exec.LookPath("etcd")
	return path
}

// A server is an etcd in a process of its own, at sockets in a directory.
type server struct {
	dir  string
	args []string
	cmd  *exec.Cmd

	mu   sync.Mutex
	used []*etcdengine.Engine
}

// launch starts a server in an empty directory, whose path is short, as that of a
// socket must be.
func launch(args ...string) (*server, error) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, args: args}
	return s, s.start()
}

func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, socket := range []string{"client:1", "peer:1"} {
		_ = os.Remove(filepath.Join(s.dir, socket)) // of a server that was killed
	}
	const nowhere = "http://127.0.0.1:1" // it has no other members
	s.cmd = exec.Command(binary(), append([]string{
		"--data-dir", "data", "--logger", "zap", "--log-level", "warn", "--heartbeat-interval", "10", "--election-timeout", "100",
		"--listen-client-urls", "unix://client:1", "--advertise-client-urls", nowhere,
		"--listen-peer-urls", "unix://peer:1", "--initial-advertise-peer-urls", nowhere, "--initial-cluster", "default=" + nowhere,
	}, s.args...)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	return s.cmd.Start()
}

// kill ends the process without a warning.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) remove() {
	s.kill()
	os.RemoveAll(s.dir)
}

func (s *server) address() string { return "unix://" + filepath.Join(s.dir, "client:1") }

func (s *server) dial() (net.Conn, error) { return net.Dial("unix", filepath.Join(s.dir, "client:1")) }

// newServer starts a server that ends with the test, or skips the test.
func newServer(t *testing.T, args ...string) *server {
	if binary() == "" {
		t.Skip(missing)
	}
	s, err := launch(args...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(s.dir, "log")); err == nil && t.Failed() {
			t.Logf("etcd: %s", log)
		}
		s.remove()
	})
	return s
}

func (s *server) restart(t *testing.T) {
	s.kill()
	require.NoError(t, s.start())
}

// remake makes the server lose everything. It waits until the engines have noticed: the
// outcome of a write that is sent before would be unknown.
func (s *server) remake(t *testing.T) {
	s.kill()
	s.mu.Lock()
	for _, e := range s.used {
		for etcdengine.Connected(e) {
			runtime.Gosched()
		}
	}
	s.mu.Unlock()
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "data")))
	require.NoError(t, s.start())
}

// admin returns a client of somebody who does not use the engine.
func (s *server) admin(t *testing.T) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.address()}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *server) purge(t *testing.T) {
	_, err := s.admin(t).Delete(bg, "vigil/test/", clientv3.WithPrefix())
	require.NoError(t, err)
}

// forget makes the server forget its history.
func (s *server) forget(t *testing.T) {
	c := s.admin(t)
	r, err := c.Get(bg, "x")
	require.NoError(t, err)
	_, err = c.Compact(bg, r.Header.Revision, clientv3.WithCompactPhysical())
	require.NoError(t, err)
}

func (s *server) options(link *enginetest.Link) *etcdengine.Options {
	return &etcdengine.Options{
		Bucket: "test", Addresses: []string{"http://etcd"}, CheckInterval: 50 * time.Millisecond, Logger: quiet,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(_ context.Context, address string) (net.Conn, error) {
			return link.Dial("", address)
		})},
	}
}

// open opens the bucket, and closes it when the test ends.
func (s *server) open(t *testing.T, o *etcdengine.Options) *etcdengine.Engine {
	e, err := etcdengine.Open(bg, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = append(s.used, e)
	return e
}
