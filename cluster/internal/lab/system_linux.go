package lab

import (
	"fmt"
	"os/exec"
	"syscall"
)

// prepare makes a process end with this one, and not by the keys that interrupt this one. With
// mounts it has mounts of its own.
func prepare(cmd *exec.Cmd, mounts bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if mounts {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
}

// mountMemory mounts a file system in memory. It is gone when this process has ended.
func mountMemory(dir string, size int64) error {
	return syscall.Mount("vigil-lab", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
}
