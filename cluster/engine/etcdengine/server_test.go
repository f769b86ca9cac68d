package etcdengine_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
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
	dir     string // its path is short, as that of a socket must be
	name    string
	cluster string // addresses of it and the other members
	args    []string
	cmd     *exec.Cmd

	mu   sync.Mutex
	used []*etcdengine.Engine
}

// launch starts the servers of a cluster in an empty directory.
func launch(members int, args ...string) (all []*server, err error) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return nil, err
	}
	var peers []string
	for i := range members {
		peers = append(peers, fmt.Sprintf("%d=unix://peer:%d", i, i))
	}
	for i := range members {
		s := &server{dir: dir, name: fmt.Sprint(i), cluster: strings.Join(peers, ","), args: args}
		if err := s.start(); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	client, peer := "client:"+s.name, "peer:"+s.name
	for _, socket := range []string{client, peer} {
		_ = os.Remove(filepath.Join(s.dir, socket)) // of a server that was killed
	}
	s.cmd = exec.Command(binary(), append([]string{
		"--name", s.name, "--data-dir", s.data(), "--initial-cluster", s.cluster, "--logger", "zap", "--log-level", "warn",
		"--listen-client-urls", "unix://" + client, "--advertise-client-urls", "unix://" + client,
		"--listen-peer-urls", "unix://" + peer, "--initial-advertise-peer-urls", "unix://" + peer,
	}, s.args...)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	return s.cmd.Start()
}

func (s *server) data() string { return filepath.Join(s.dir, "data"+s.name) }

// kill ends the process without a warning.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) socket() string { return filepath.Join(s.dir, "client:"+s.name) }

func (s *server) address() string { return "unix://" + s.socket() }

func (s *server) dial() (net.Conn, error) { return net.Dial("unix", s.socket()) }

// newServers starts a cluster that ends with the test, or skips the test.
func newServers(t *testing.T, members int, args ...string) []*server {
	if binary() == "" {
		t.Skip(missing)
	}
	all, err := launch(members, args...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(all[0].dir, "log")); err == nil && t.Failed() {
			t.Logf("etcd: %s", log)
		}
		stopAll(all)
	})
	return all
}

// stopAll ends the servers of a cluster, and removes what they have stored.
func stopAll(all []*server) {
	for _, s := range all {
		s.kill()
	}
	os.RemoveAll(all[0].dir)
}

// alone are the options of a server without others, which elects itself.
var alone = []string{"--heartbeat-interval", "10", "--election-timeout", "100"}

func newServer(t *testing.T, args ...string) *server {
	return newServers(t, 1, append(alone, args...)...)[0]
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
	require.NoError(t, os.RemoveAll(s.data()))
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
