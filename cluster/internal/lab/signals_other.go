//go:build !unix

package lab

import "syscall"

const pauseSignal, resumeSignal = syscall.Signal(0), syscall.Signal(0)

// alive reports true: what a process has left behind is not removed here.
func alive(int) bool { return true }
