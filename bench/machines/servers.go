package machines

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Durability says when a server has a write on its disk.
type Durability bool

const (
	// Synced servers sync each write before they acknowledge it.
	Synced Durability = true
	// Unsynced servers leave that to the operating system, or keep nothing.
	Unsynced Durability = false
)

// A Server is the process of a server.
type Server struct {
	*machine
	dir string
}

// Address is where the server listens.
func (s *Server) Address() string { return s.Ready }

// Close ends the server and removes its data.
func (s *Server) Close() error { return errors.Join(s.machine.Close(), os.RemoveAll(s.dir)) }

type serverArgs struct {
	Dir    string
	Synced Durability
}

// StartNATS starts a NATS server with JetStream.
func StartNATS(d Durability) (*Server, error) { return startServer("nats", d) }

// StartEtcd starts etcd, which always syncs. The error matches errors.ErrUnsupported if it
// is not installed.
func StartEtcd() (*Server, error) {
	if err := installed("etcd"); err != nil {
		return nil, err
	}
	return startServer("etcd", Synced)
}

// StartRedis starts Redis. If it is not Synced, it keeps nothing on the disk. The error
// matches errors.ErrUnsupported if it is not installed.
func StartRedis(d Durability) (*Server, error) {
	if err := installed("redis-server"); err != nil {
		return nil, err
	}
	return startServer("redis", d)
}

func installed(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%s is not installed: %w", name, errors.ErrUnsupported)
	}
	return nil
}

func startServer(role string, d Durability) (*Server, error) {
	dir, err := os.MkdirTemp("", "vigil-"+role+"-")
	if err != nil {
		return nil, err
	}
	m, err := start(role, serverArgs{dir, d})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Server{m, dir}, nil
}

// limit is how long a server may take to start.
const limit = 30 * time.Second

func serveNATS(a serverArgs) (*service, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(a.Dir, "nats"), SyncAlways: bool(a.Synced),
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	end := func() error { s.Shutdown(); s.WaitForShutdown(); return nil }
	if !s.ReadyForConnections(limit) || !s.JetStreamEnabled() {
		return nil, errors.Join(errors.New("machines: the NATS server does not start"), end())
	}
	return &service{ready: s.ClientURL(), end: end}, nil
}

func serveEtcd(a serverArgs) (*service, error) {
	client, err := freeAddress()
	if err != nil {
		return nil, err
	}
	peer, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return serveProgram(client, exec.Command("etcd", "--name", "bench", "--data-dir", filepath.Join(a.Dir, "etcd"), "--log-level", "error",
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "bench=http://"+peer))
}

func serveRedis(a serverArgs) (*service, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	keep := []string{"--appendonly", "no"}
	if a.Synced {
		keep = []string{"--appendonly", "yes", "--appendfsync", "always"}
	}
	return serveProgram(address, exec.Command("redis-server", append(keep, "--bind", "127.0.0.1", "--port", port, "--dir", a.Dir, "--save", "")...))
}

// serveProgram runs another program, as a process that ends with this one.
func serveProgram(address string, cmd *exec.Cmd) (*service, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	end := func() error {
		err := cmd.Process.Kill() // nobody needs its data
		<-ended
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			return &service{ready: address, end: end}, conn.Close()
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("machines: %s ended: %v", cmd.Path, err)
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("machines: %s does not start", cmd.Path), end())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddress returns an address that is not in use.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
