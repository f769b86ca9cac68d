package floor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Result is the cost of operations, in nanoseconds. Values that a program does
// not measure are zero.
type Result struct {
	Op       float64 // mean per operation
	Call     float64 // median of the waker's own call
	P50, P99 float64 // one-way latency
}

// A Proc is a running program that waits for requests. It is not for concurrent
// use.
type Proc struct {
	// Ready is what the program said when it was ready: nothing, or its address.
	Ready  string
	name   string
	cmd    *exec.Cmd
	orders io.WriteCloser
	answer *bufio.Reader
	faults bytes.Buffer // its stderr; read once it has ended
	ended  error        // why it ended, once it has
	speed  float64      // operations per nanosecond, as last measured
}

// cannot is the exit status of a program that cannot run here.
const cannot = 77

// Start starts a program. The error matches errors.ErrUnsupported if the kernel
// lacks something or the machine has no second processor. All that is known before
// the first run.
func (p Programs) Start(name string, args ...string) (*Proc, error) {
	return Start(strings.Join(append([]string{name}, args...), " "), exec.Command(filepath.Join(p.dir, name), args...))
}

// Start starts a program that is not of C but answers in the same way. Errors call it
// name.
func Start(name string, cmd *exec.Cmd) (*Proc, error) {
	proc := &Proc{name: name, cmd: cmd}
	proc.cmd.Stderr = &proc.faults
	var err error
	if proc.orders, err = proc.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := proc.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	proc.answer = bufio.NewReader(out)
	if err := proc.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := proc.answer.ReadString('\n')
	said, ready := strings.CutPrefix(line, "ready")
	if err != nil || !ready {
		return nil, proc.fault(err)
	}
	proc.Ready = strings.TrimSpace(said)
	return proc, nil
}

// PID returns the number of the process.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Run does n operations and returns their cost. After an error the program has
// ended.
func (p *Proc) Run(n int) (Result, error) {
	var r Result
	if err := p.Ask(fmt.Sprintf("run %d", n), "op %g call %g p50 %g p99 %g", &r.Op, &r.Call, &r.P50, &r.P99); err != nil {
		return Result{}, err
	}
	return r, nil
}

// Ask gives an order and scans the answer. After an error the program has ended.
func (p *Proc) Ask(order, format string, answer ...any) error {
	if p.ended != nil {
		return p.ended
	}
	if _, err := fmt.Fprintln(p.orders, order); err != nil {
		return p.fault(err)
	}
	line, err := p.answer.ReadString('\n')
	if err != nil {
		return p.fault(err)
	}
	if _, err := fmt.Sscanf(line, format, answer...); err != nil {
		return p.fault(fmt.Errorf("answer %q: %w", line, err))
	}
	return nil
}

// RunFor is Run with as many operations as take about d. As in measure.Slice a
// first tenth runs without being counted; it also determines the number.
func (p *Proc) RunFor(d time.Duration) (Result, error) {
	const first = 100 // the speed is not yet known
	warm := max(int(p.speed*float64(d)/10), first)
	if _, err := p.timed(warm); err != nil {
		return Result{}, err
	}
	return p.timed(max(int(p.speed*float64(d)), 1))
}

// timed also measures the time from outside: a program may take longer than its
// operations do.
func (p *Proc) timed(n int) (Result, error) {
	start := time.Now()
	r, err := p.Run(n)
	p.speed = float64(n) / float64(max(time.Since(start), 1))
	return r, err
}

// Close ends the program and waits for it. It returns the error of the program, if
// there was one, and is idempotent.
func (p *Proc) Close() error {
	if p.ended == nil {
		p.end(nil)
	}
	if errors.Is(p.ended, errClosed) {
		return nil
	}
	return p.ended
}

var errClosed = errors.New("floor: closed")

func (p *Proc) fault(cause error) error {
	p.end(cause)
	return p.ended
}

// end closes the program's input, which ends it, and returns why it ended if it did
// so before.
func (p *Proc) end(cause error) {
	p.orders.Close()
	if cause != nil && !errors.Is(cause, io.EOF) {
		p.cmd.Process.Kill() // it breaks the protocol and may not end either
	}
	err := p.cmd.Wait()
	reason := strings.TrimSpace(p.faults.String())
	switch {
	case p.cmd.ProcessState.ExitCode() == cannot:
		p.ended = unsupported(p.name + ": " + reason)
	case err != nil || cause != nil:
		p.ended = fmt.Errorf("floor: %s: %w: %s", p.name, errors.Join(cause, err), reason)
	default:
		p.ended = errClosed
	}
}
