// Package floor runs small C programs that do what uringwake does without anything
// in between: their cost is the floor that it is compared with. The programs
// are compiled by gcc when they are needed.
//
// A program is started once and then asked repeatedly to do some operations and
// report their cost, so that its slices can be interleaved with those of its rivals.
//
//	nop BATCH wait|events defer|plain [threads] [registered]
//	                                               NOPs through one ring
//	futex PLACE                                    two threads, two futexes
//	wake HOW asleep|awake PLACE [MICROSECONDS]     a thread wakes the ring of another
//	pipe one                                       reads and writes of one ring
//	pipe two PLACE                                 the same of two rings, a thread each
//	echo SIZE                                      an echo server with buffers of SIZE bytes
//
// HOW is eventfd, msg_ring or send_msg_ring. PLACE is same (one processor for
// both threads), other (two processors) or free (wherever the kernel puts them).
package floor

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed c
var sources embed.FS

// Names of the programs.
func Names() []string { return []string{"nop", "futex", "wake", "pipe", "echo"} }

// Programs are compiled and ready to be started.
type Programs struct{ dir string }

// Build compiles the programs of those names into dir. The error matches
// errors.ErrUnsupported if gcc or liburing's header and library are missing.
func Build(dir string, names ...string) (Programs, error) {
	if err := canBuild(dir); err != nil {
		return Programs{}, err
	}
	if err := os.CopyFS(dir, sources); err != nil {
		return Programs{}, err
	}
	for _, name := range names {
		source := filepath.Join(dir, "c", name+".c")
		if err := gcc("-o", filepath.Join(dir, name), source, "-luring"); err != nil {
			return Programs{}, fmt.Errorf("floor: %s does not compile: %w", name, err)
		}
	}
	return Programs{dir}, nil
}

// canBuild compiles an empty program against liburing, so that an error in our
// programs is not reported as a missing library.
func canBuild(dir string) error {
	if _, err := exec.LookPath("gcc"); err != nil {
		return unsupported("gcc is not installed")
	}
	probe := filepath.Join(dir, "probe.c")
	if err := os.WriteFile(probe, []byte("#include <liburing.h>\nint main(void) { return 0; }\n"), 0o600); err != nil {
		return err
	}
	if err := gcc("-o", filepath.Join(dir, "probe"), probe, "-luring"); err != nil {
		return unsupported("gcc finds no liburing (liburing-dev): " + err.Error())
	}
	return nil
}

// gcc compiles with the flags of all programs.
func gcc(args ...string) error {
	args = append([]string{"-std=gnu11", "-O2", "-Wall", "-pthread"}, args...)
	out, err := exec.Command("gcc", args...).CombinedOutput()
	if err == nil {
		return nil
	}
	first, _, _ := strings.Cut(string(bytes.TrimSpace(out)), "\n")
	return fmt.Errorf("%w: %s", err, first)
}

func unsupported(reason string) error {
	return fmt.Errorf("floor: %w: %s", errors.ErrUnsupported, reason)
}
