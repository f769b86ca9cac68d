//go:build unix

package lab

import (
	"errors"
	"syscall"
)

const pauseSignal, resumeSignal = syscall.SIGSTOP, syscall.SIGCONT

// alive reports whether there is a process with that id.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
