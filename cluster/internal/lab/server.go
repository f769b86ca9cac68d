package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A Server is a process that runs a NATS server with JetStream, which syncs each write.
type Server struct {
	*Process

	asking sync.Mutex
	asked  int
}

// A serverConfig is what a server's process is told.
type serverConfig struct {
	Name, Dir             string
	Host                  string
	ClientPort, RoutePort int
	Routes                []string
	Advertise             string // instead of the address for routes
	Disk                  int64
}

// A listening says at which addresses a server listens.
type listening struct{ Client, Route string }

const serveFunction = "lab server"

// Start starts a server that has ended, and waits until it listens. It may not yet be in the
// cluster.
func (s *Server) Start(ctx context.Context) error {
	c := s.lab.network.layout(s.Process)
	c.Name, c.Dir, c.Disk = s.Name, filepath.Join(s.lab.dir, s.Name), s.disk
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	s.arguments = []string{string(text)}
	if err := s.Process.Start(); err != nil {
		return err
	}
	var at listening
	if err := s.Receive(ctx, &at); err != nil {
		return fmt.Errorf("lab: %s: %w: %s", s.Name, err, s.Log())
	}
	s.lab.network.listens(s.Process, at)
	return nil
}

// Restart kills the server, if it runs, and starts it again, as Start does.
func (s *Server) Restart(ctx context.Context) error {
	s.Kill()
	return s.Start(ctx)
}

func (p *Process) isServer() bool { return p.function == serveFunction }

// A question is what a server's process is asked.
type question struct {
	ID     int
	What   string // leads, stepdown, fill or free
	Stream string
}

type answer struct {
	ID  int
	Yes bool
	Err string
}

// ask waits for the answer of a server.
func (s *Server) ask(ctx context.Context, q question) (yes bool, err error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if !s.Running() {
		return false, errNotRunning
	}
	s.asked++
	q.ID = s.asked
	if err := s.Send(q); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // it may be paused
	defer cancel()
	for {
		var a answer
		if err := s.Receive(ctx, &a); err != nil {
			return false, err
		}
		if a.ID != q.ID { // to a question that was given up
			continue
		}
		if a.Err != "" {
			err = fmt.Errorf("lab: %s: %s", s.Name, a.Err)
		}
		return a.Yes, err
	}
}

// leads reports whether the server leads a stream, or the cluster if stream is empty.
func (s *Server) leads(ctx context.Context, stream string) (bool, error) {
	return s.ask(ctx, question{What: "leads", Stream: stream})
}

// StepDown makes the server give up that it leads the stream.
func (s *Server) StepDown(ctx context.Context, stream string) error {
	_, err := s.ask(ctx, question{What: "stepdown", Stream: stream})
	return err
}

// CutRoutes cuts the links between the server and the other servers, but not those to workers, until
// Heal is called. The error matches errors.ErrUnsupported with [Namespaces].
func (s *Server) CutRoutes() error {
	n, ok := s.lab.network.(*proxies)
	if !ok {
		return fmt.Errorf("lab: cut routes with %v: %w", s.lab.isolation, errors.ErrUnsupported)
	}
	n.cutRoutes(s.Process)
	return nil
}

// Fill fills the disk of a server that has one of its own.
func (s *Server) Fill(ctx context.Context) error {
	_, err := s.ask(ctx, question{What: "fill"})
	return err
}

// Free makes room again after Fill.
func (s *Server) Free(ctx context.Context) error {
	_, err := s.ask(ctx, question{What: "free"})
	return err
}

// serve is what a server's process does.
func serve(ctx context.Context, self *Self) error {
	var c serverConfig
	if err := json.Unmarshal([]byte(self.Arguments[0]), &c); err != nil {
		return err
	}
	if err := c.prepareDir(); err != nil {
		return err
	}
	n, err := c.start()
	if err != nil {
		return err
	}
	defer func() { n.Shutdown(); n.WaitForShutdown() }()
	at := listening{Client: n.Addr().String()}
	if route := n.ClusterAddr(); route != nil {
		at.Route = route.String()
	}
	if err := self.Send(at); err != nil {
		return err
	}
	for {
		var q question
		if self.Receive(ctx, &q) != nil { // Stop, or the Lab is gone
			return nil
		}
		a := answer{ID: q.ID}
		var err error
		if a.Yes, err = c.answer(n, q); err != nil {
			a.Err = err.Error()
		}
		if self.Send(a) != nil {
			return nil
		}
	}
}

func (c *serverConfig) prepareDir() error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if c.Disk > 0 {
		return mountMemory(c.Dir, c.Disk)
	}
	return nil
}

// start starts the NATS server.
func (c *serverConfig) start() (*server.Server, error) {
	o := &server.Options{
		ServerName: c.Name, Host: c.Host, Port: c.ClientPort, NoSigs: true, Logtime: true,
		JetStream: true, StoreDir: c.Dir, SyncAlways: true, JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 1 << 28,
	}
	if len(c.Routes) > 0 {
		o.Cluster = server.ClusterOpts{Name: "lab", Host: c.Host, Port: c.RoutePort, Advertise: c.Advertise, NoAdvertise: true}
	}
	for _, route := range c.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: route})
	}
	n, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	n.ConfigureLogger()
	n.Start()
	if !n.ReadyForConnections(time.Minute) {
		n.Shutdown()
		return nil, errors.New("the server is not ready after a minute")
	}
	return n, nil
}

func (c *serverConfig) answer(n *server.Server, q question) (bool, error) {
	const account = server.DEFAULT_GLOBAL_ACCOUNT
	switch {
	case q.What == "leads" && len(c.Routes) == 0: // the only one
		return true, nil
	case q.What == "leads" && q.Stream == "":
		return n.JetStreamIsLeader() && len(n.JetStreamClusterPeers()) == len(c.Routes)+1, nil
	case q.What == "leads":
		return n.JetStreamIsStreamLeader(account, q.Stream), nil
	case q.What == "stepdown":
		return true, n.JetStreamStepdownStream(account, q.Stream)
	case q.What == "fill":
		return true, fill(c.ballast())
	case q.What == "free":
		return true, os.Remove(c.ballast())
	}
	return false, fmt.Errorf("unknown question %q", q.What)
}

// ballast is the file that fills the disk.
func (c *serverConfig) ballast() string { return filepath.Join(c.Dir, "ballast") }

// fill writes a file until that fails.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<16); len(block) > 0; {
		n, err := f.Write(block)
		if n == 0 && err != nil {
			block = block[:len(block)/2]
		}
	}
	return nil
}
