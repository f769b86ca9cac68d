// Package child starts servers for the example programs that compare some, each in a
// process of its own, so that the processor time of each is known.
package child

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Variable is in the environment of a child. A test binary that finds it is to run main,
// because the program starts itself.
const Variable = "VIGIL_EXAMPLE_CHILD"

// A Process is a child that runs.
type Process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// Start starts a program. It is killed when ctx ends. Its standard error is that of this
// process.
func Start(ctx context.Context, program string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), Variable+"=1")
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{cmd, bufio.NewReader(out)}, nil
}

// StartSelf starts this program with other arguments.
func StartSelf(ctx context.Context, args ...string) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return Start(ctx, program, args...)
}

// Line returns the next line that the child prints, without its end.
func (p *Process) Line() (string, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s has said no more: %w", p.cmd.Path, err)
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// CPU is the processor time that the child has used by now, in steps of 10 ms. It is known
// on Linux only.
func (p *Process) CPU() (time.Duration, error) {
	name := fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("the processor time of a child is not known here: %w", err)
	}
	return cpuOf(text)
}

// cpuOf adds up the user and system time in the text of proc_pid_stat(5). Their unit is 10 ms
// on every architecture that Go has Linux for.
func cpuOf(stat []byte) (sum time.Duration, err error) {
	// The second field, a name in parentheses, may have spaces. The third is the first
	// behind it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("the process's times are missing in %q", stat)
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("the process's times are no numbers in %q", stat)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

// Close kills the child and waits for its end.
func (p *Process) Close() {
	p.cmd.Process.Kill()
	p.cmd.Wait() // says that it was killed
}
