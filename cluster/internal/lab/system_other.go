//go:build !linux

package lab

import (
	"errors"
	"os/exec"
)

func prepare(*exec.Cmd, bool) {}

func mountMemory(string, int64) error { return errors.ErrUnsupported }
