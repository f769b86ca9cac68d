package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CountCalls counts the system calls of the process from now on. The result ends that,
// and returns their number. Counting makes each call slower.
func (p *Proc) CountCalls() (end func() (float64, error), err error) {
	event, err := everyCall()
	if err != nil {
		return nil, err
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID()))
	if err != nil {
		return nil, err
	}
	var counters []int
	end = func() (total float64, err error) {
		for _, fd := range counters {
			n, failed := count(fd)
			total += n
			err = errors.Join(err, failed, unix.Close(fd))
		}
		return total, err
	}
	for _, thread := range threads {
		fd, err := counter(event, thread.Name())
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			_, _ = end()
			return nil, err
		}
		counters = append(counters, fd)
	}
	return end, nil
}

// CanCountCalls returns nil if CountCalls works, or why it does not.
var CanCountCalls = sync.OnceValue(func() error {
	event, err := everyCall()
	if err != nil {
		return err
	}
	fd, err := counter(event, "0") // the calling thread
	if err != nil {
		return unsupported("perf_event_open", err)
	}
	return unix.Close(fd)
})

// counter counts the calls of a thread, and of those that it starts.
func counter(event uint64, thread string) (int, error) {
	id, err := strconv.Atoi(thread)
	if err != nil {
		return -1, err
	}
	attr := unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_TRACEPOINT,
		Size:   uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Config: event,
		Bits:   unix.PerfBitInherit,
	}
	return unix.PerfEventOpen(&attr, id, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
}

func count(fd int) (float64, error) {
	var p [8]byte
	if n, err := unix.Read(fd, p[:]); err != nil || n != len(p) {
		return 0, errors.Join(err, errors.New("server: a counter was not read"))
	}
	return float64(binary.NativeEndian.Uint64(p[:])), nil
}

// everyCall returns the number of the tracepoint that every system call passes. It is
// in tracefs, which is mounted for that where nobody sees it.
var everyCall = sync.OnceValues(func() (uint64, error) {
	context, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, unsupported("tracefs", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return 0, unsupported("tracefs", err)
	}
	root, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return 0, unsupported("tracefs", err)
	}
	defer unix.Close(root)
	fd, err := unix.Openat(root, "events/raw_syscalls/sys_enter/id", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, unsupported("tracefs", err)
	}
	f := os.NewFile(uintptr(fd), "id")
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
})

func unsupported(what string, err error) error {
	return fmt.Errorf("server: system calls are not counted: %w: %s: %w", errors.ErrUnsupported, what, err)
}
