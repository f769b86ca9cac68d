package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Process is a server or a worker. It is running, stopped by [Process.Pause], or ended; an ended one
// can be started again, with the same name, address and directory. Its methods may be called
// from any goroutine.
type Process struct {
	Name string

	lab       *Lab
	index     int
	function  string
	arguments []string
	disk      int64 // of a server

	mu  sync.Mutex // held while it is started or killed
	run *running   // nil: it was never started
}

// A running is a process from its start to its end.
type running struct {
	Pipe
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed when it has ended
	err   error         // of its end
}

// errNotRunning is the error of an operation on a process that has ended.
var errNotRunning = errors.New("lab: the process does not run")

// Start starts a process that has ended.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() {
		return fmt.Errorf("lab: %s runs already", p.Name)
	}
	r, err := p.launch()
	if err != nil {
		return fmt.Errorf("lab: start %s: %w", p.Name, err)
	}
	p.run = r
	return nil
}

// Pipe returns the pipe to the process that was started last. What that has sent before its end can
// still be received.
func (p *Process) Pipe() Pipe {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run.Pipe
}

// Send is Send of [Process.Pipe].
func (p *Process) Send(v any) error { return p.Pipe().Send(v) }

// Receive is Receive of [Process.Pipe].
func (p *Process) Receive(ctx context.Context, v any) error { return p.Pipe().Receive(ctx, v) }

func (p *Process) launch() (*running, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := p.lab.network.command(p, append([]string{program}, p.arguments...))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), functionEnv+"="+p.function, addressesEnv+"="+strings.Join(p.lab.network.addresses(p), " "),
		clockEnv+"="+p.ClockFile(), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // the default is a second
	prepare(cmd, p.disk > 0)
	log, err := os.OpenFile(p.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stderr = log
	return begin(cmd, p.lab.closed)
}

// begin starts a command whose standard input and output are a Pipe.
func begin(cmd *exec.Cmd, over <-chan struct{}) (*running, error) {
	in, childOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childOut.Close()
	childIn, out, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer childIn.Close()
	cmd.Stdin, cmd.Stdout = childIn, childOut
	if err := cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	r := &running{cmd: cmd, stdin: out, done: make(chan struct{})}
	r.Pipe = newPipe(in, out, over, func() { in.Close() })
	go func() {
		defer close(r.done)
		r.err = cmd.Wait()
	}()
	return r, nil
}

// ClockFile returns the name of a file for a program that reads from it by how much its wall clock is
// wrong. Its name is in the environment of the process, as VIGIL_LAB_CLOCK.
func (p *Process) ClockFile() string { return filepath.Join(p.lab.dir, p.Name+".clock") }

func (p *Process) logFile() string { return filepath.Join(p.lab.dir, p.Name+".log") }

// Log returns the end of what the process has written to its standard error, also before it
// was started again.
func (p *Process) Log() string {
	text, _ := os.ReadFile(p.logFile())
	return string(text[max(0, len(text)-4000):])
}

// alive reports whether the process runs, or is paused. p.mu is held.
func (p *Process) alive() bool {
	if p.run == nil {
		return false
	}
	select {
	case <-p.run.done:
		return false
	default:
		return true
	}
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive()
}

// PID returns the id of the process that was started last.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run.cmd.Process.Pid
}

// Kill kills the process as SIGKILL does, and waits until it has ended. It does nothing if the
// process does not run.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() {
		p.run.cmd.Process.Kill()
	}
	p.wait()
}

// wait waits for the end. p.mu is held.
func (p *Process) wait() {
	if p.run != nil {
		<-p.run.done
		p.run.stdin.Close()
	}
}

// Stop ends the context of a worker, or shuts a server down, and waits until the
// process has ended. It returns the error of a process that has failed.
func (p *Process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return nil
	}
	p.run.stdin.Close()
	p.wait()
	return p.run.err
}

// Wait waits until the process has ended by itself, and returns its error.
func (p *Process) Wait() error {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	if r == nil {
		return errNotRunning
	}
	<-r.done
	return r.err
}

// Restart kills the process, if it runs, and starts it again.
func (p *Process) Restart() error {
	p.Kill()
	return p.Start()
}

// Pause stops the process as SIGSTOP does.
func (p *Process) Pause() error { return p.signal(pauseSignal) }

// Resume lets a process go on after Pause.
func (p *Process) Resume() error { return p.signal(resumeSignal) }

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s == 0:
		return fmt.Errorf("lab: pause a process: %w", errors.ErrUnsupported)
	case !p.alive():
		return errNotRunning
	}
	return p.run.cmd.Process.Signal(s)
}

// Cut cuts the link between the process and all others: nothing arrives, and nobody is told.
func (p *Process) Cut() error { return p.lab.network.cut(p, true) }

// Heal ends what Cut has done.
func (p *Process) Heal() error { return p.lab.network.cut(p, false) }

// Slow delays what the process sends and receives, on the whole way there and back by twice delay;
// zero ends that. With [Namespaces] the error matches errors.ErrUnsupported if the system
// has no netem.
func (p *Process) Slow(delay time.Duration) error { return p.lab.network.slow(p, delay) }
