package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options configure a [Lab].
type Options struct {
	// Servers is the number of NATS servers. Zero means 3.
	Servers int

	// Dir is the directory for the servers' data and what the processes log. Close
	// leaves it. Empty means a temporary one, which Close removes.
	Dir string

	// Isolation is how the processes are kept apart. Zero means Namespaces where
	// that is possible, and Proxies otherwise.
	Isolation Isolation

	// DiskSize is the size in bytes of a file system of its own, in memory, that each server has for its data, so
	// that it can be filled. It is lost when the server ends. Zero means none. It needs Linux and
	// root.
	DiskSize int64
}

// An Isolation is a way to keep processes apart.
type Isolation int

// The ways to keep processes apart.
const (
	Namespaces Isolation = iota + 1 // each has a network namespace
	Proxies                         // each talks to the others through proxies
)

func (i Isolation) String() string { return [...]string{"automatic", "namespaces", "proxies"}[i] }

// A Lab has servers and workers. [New] returns one. Its methods may be called from any goroutine.
type Lab struct {
	dir       string
	temporary bool
	isolation Isolation
	network   network
	servers   []*Server

	closing sync.Once
	closed  chan struct{}

	mu        sync.Mutex
	processes []*Process
}

// A network connects the processes.
type network interface {
	add(p *Process) error
	// command returns the command line that runs argv in the place of p.
	command(p *Process, argv []string) []string
	// layout returns where a server listens, and what others see of it.
	layout(p *Process) serverConfig
	// listens tells at which addresses a server listens now.
	listens(p *Process, at listening)
	// addresses returns those of the servers, as p reaches them.
	addresses(p *Process) []string
	cut(p *Process, down bool) error
	slow(p *Process, delay time.Duration) error
	close() error
}

const prefix = "vigil-lab-"

// New starts the servers, and waits until they are a cluster that can make streams. If ctx ends
// first, it stops them and returns an error that matches ctx.Err().
func New(ctx context.Context, o *Options) (*Lab, error) {
	if o == nil {
		o = new(Options)
	}
	l := &Lab{dir: o.Dir, isolation: o.Isolation, closed: make(chan struct{})}
	sweepDirs()
	if err := l.open(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("lab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) open(ctx context.Context, o *Options) (err error) {
	if l.dir == "" {
		l.temporary = true
		if l.dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid())); err != nil {
			return err
		}
	}
	if l.isolation == 0 {
		l.isolation = Proxies
		if Supported(Namespaces) == nil {
			l.isolation = Namespaces
		}
	}
	if err := Supported(l.isolation); err != nil {
		return err
	}
	if l.network, err = newNetwork(l.isolation); err != nil {
		return err
	}
	return l.startServers(ctx, o)
}

func newNetwork(i Isolation) (network, error) {
	if i == Namespaces {
		return newNamespaces()
	}
	return newProxies(), nil
}

func (l *Lab) startServers(ctx context.Context, o *Options) error {
	n := o.Servers
	if n == 0 {
		n = 3
	}
	for i := range n {
		s := &Server{Process: l.process(fmt.Sprintf("server%d", i))}
		s.function, s.disk = serveFunction, o.DiskSize
		l.servers = append(l.servers, s)
		if err := l.network.add(s.Process); err != nil {
			return err
		}
	}
	for _, s := range l.servers {
		if err := s.Start(ctx); err != nil {
			return err
		}
	}
	return l.WaitLeader(ctx, "")
}

// process returns a process that is not started.
func (l *Lab) process(name string) *Process {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &Process{lab: l, Name: name, index: len(l.processes)}
	l.processes = append(l.processes, p)
	return p
}

// Isolation returns how the processes are kept apart.
func (l *Lab) Isolation() Isolation { return l.isolation }

// Dir returns the directory with the data of the servers and what the processes log.
func (l *Lab) Dir() string { return l.dir }

// Servers returns the servers.
func (l *Lab) Servers() []*Server { return l.servers }

// Worker starts a process that runs the function that was registered as function. The name is
// for people; no two processes have the same one.
func (l *Lab) Worker(name, function string, arguments ...string) (*Process, error) {
	if registered[function] == nil {
		return nil, fmt.Errorf("lab: no function is registered as %q", function)
	}
	p := l.process(name)
	p.function, p.arguments = function, arguments
	if err := l.network.add(p); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// Leader returns the server that leads the raft group of a stream, or of the cluster itself
// if stream is empty; nil if no server says that it does.
func (l *Lab) Leader(ctx context.Context, stream string) *Server {
	for _, s := range l.servers {
		if leads, err := s.leads(ctx, stream); err == nil && leads {
			return s
		}
	}
	return nil
}

// WaitLeader waits until there is a leader as [Lab.Leader] would return. It fails if all servers have
// ended.
func (l *Lab) WaitLeader(ctx context.Context, stream string) error {
	for l.Leader(ctx, stream) == nil {
		if !slices.ContainsFunc(l.servers, func(s *Server) bool { return s.Running() }) {
			return fmt.Errorf("lab: all servers have ended%s", l.logs())
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("lab: no leader: %w%s", ctx.Err(), l.logs())
		}
	}
	return nil
}

// logs returns what the servers have logged last.
func (l *Lab) logs() string {
	var all strings.Builder
	for _, s := range l.servers {
		fmt.Fprintf(&all, "\n%s: %s", s.Name, s.Log())
	}
	return all.String()
}

// Close kills all processes and removes what New has made. It returns nil when called again.
func (l *Lab) Close() (err error) {
	l.closing.Do(func() { err = l.close() })
	return err
}

func (l *Lab) close() error {
	close(l.closed)
	l.mu.Lock()
	processes := l.processes
	l.mu.Unlock()
	for _, p := range processes {
		p.Kill()
	}
	var err error
	if l.network != nil {
		err = l.network.close()
	}
	if l.temporary {
		err = errors.Join(err, os.RemoveAll(l.dir))
	}
	return err
}

// sweepDirs removes the temporary directories of processes that were killed.
func sweepDirs() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*-*"))
	for _, dir := range dirs {
		if orphaned(filepath.Base(dir)) {
			os.RemoveAll(dir)
		}
	}
}

// orphaned reports whether name is that of something that a Lab of a process has made
// that is not there any more.
func orphaned(name string) bool {
	rest, ours := strings.CutPrefix(name, prefix)
	pid := 0
	_, err := fmt.Sscanf(rest, "%d-", &pid)
	return ours && err == nil && !alive(pid)
}
