package measure

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A Machine says where and when a measurement was made.
type Machine struct {
	CPU, System, Go string
	Cores           int
	When            time.Time
	Command         string
}

// ThisMachine describes the machine and the command line of this process.
func ThisMachine(command string) Machine {
	return Machine{
		CPU:     cpuModel(),
		System:  systemName(),
		Go:      runtime.Version(),
		Cores:   runtime.NumCPU(),
		When:    time.Now(),
		Command: command,
	}
}

// cpuModel returns the processor's name, if the system has it in a file.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// systemName returns the output of `uname -sr`, or GOOS without that program.
func systemName() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return string(bytes.TrimSpace(out)) + " " + runtime.GOARCH
}
