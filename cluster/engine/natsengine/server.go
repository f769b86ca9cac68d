package natsengine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A Server is a NATS server with JetStream in this process. It syncs each write to
// its disk before it acknowledges it.
type Server struct {
	nats *server.Server
	lock *dirLock
}

// ServerOptions configure a [Server].
type ServerOptions struct {
	// Dir is the directory for the data. It is made if it does not exist. Only one server
	// may use it at a time; StartServer fails if it notices another one.
	Dir string

	// Listen is the address, a host and a port, at which the server takes connections
	// of other processes; port 0 means any port. They are not authenticated. Empty means
	// that only this process can connect.
	Listen string

	// Logger, if it is not nil, is told what the server logs.
	Logger server.Logger
}

// StartServer starts a server.
func StartServer(o *ServerOptions) (*Server, error) {
	if o == nil || o.Dir == "" {
		return nil, errors.New("cluster: a server needs a directory for its data")
	}
	so, err := o.server()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cluster: directory of the server: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{lock: lock}
	if s.nats, err = server.NewServer(so); err != nil {
		lock.release()
		return nil, fmt.Errorf("cluster: server: %w", err)
	}
	if o.Logger != nil {
		s.nats.SetLogger(o.Logger, false, false)
	}
	s.nats.Start()
	if !s.nats.ReadyForConnections(startTimeout) || !s.nats.JetStreamEnabled() {
		s.Close()
		return nil, fmt.Errorf("cluster: the server in %s did not start; ServerOptions.Logger is told why", o.Dir)
	}
	return s, nil
}

// startTimeout is more than recovering a large directory takes.
const startTimeout = 5 * time.Minute

func (o *ServerOptions) server() (*server.Options, error) {
	so := &server.Options{
		ServerName: "vigil", JetStream: true, StoreDir: filepath.Join(o.Dir, "nats"), SyncAlways: true,
		DontListen: o.Listen == "", NoSigs: true, NoLog: o.Logger == nil,
	}
	if o.Listen == "" {
		return so, nil
	}
	host, port, err := splitAddress(o.Listen)
	if err != nil {
		return nil, err
	}
	so.Host, so.Port = host, port
	if port == 0 {
		so.Port = server.RANDOM_PORT
	}
	return so, nil
}

// URL returns the address for [Options.Addresses] of other processes, or an empty string
// if the server does not listen.
func (s *Server) URL() string {
	if s.nats.Addr() == nil {
		return ""
	}
	return s.nats.ClientURL()
}

// Close stops the server, and waits until it has stopped. Its connections end.
func (s *Server) Close() error {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	s.lock.release()
	return nil
}

// Dial returns a connection to the server within this process, whatever the address. It makes
// a Server a nats.CustomDialer.
func (s *Server) Dial(network, address string) (net.Conn, error) { return s.nats.InProcessConn() }
