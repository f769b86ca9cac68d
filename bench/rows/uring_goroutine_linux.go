package rows

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
)

func readRow() Row {
	return Row{
		Name:  "uring/read",
		Title: "A goroutine reads what is there",
		About: "A goroutine reads a byte of a pipe that holds some, again and again; each read is timed. Now and then the pipe is " +
			"filled, within a read's time, but too seldom for the 99th percentile. Two looks at the clock are in all, and shown.",
		jobs: func(set *Settings) []Job {
			return []Job{{Cell: Cell{Name: "pipe", Procs: set.headline(), Unit: "ns"}, run: func() ([]measure.Series, []string) {
				r, w, err := os.Pipe()
				mustNot(err)
				defer r.Close()
				defer w.Close()
				var fds [2]int
				mustNot(unix.Pipe2(fds[:], unix.O_CLOEXEC))
				defer unix.Close(fds[0])
				defer unix.Close(fds[1])
				ctx, b := context.Background(), make([]byte, 1)
				fill := func(p []byte) (int, error) { return unix.Write(fds[1], p) }
				figures := []string{"p50", "p99"}
				return interleaveMeters([]meter{
					{"vigil", figures, refilled(fill, func() (int, error) { return uringwake.Read(ctx, fds[0], b, -1) })},
					{"syscall.Read", figures, refilled(fill, func() (int, error) { return syscall.Read(fds[0], b) })},
					{"os.File.Read", figures, refilled(w.Write, func() (int, error) { return r.Read(b) })},
					{"clock", figures, func(d time.Duration) []float64 { return each(d, func() {}) }},
				}, set.Rounds, set.Slice), nil
			}}}
		},
	}
}

// refilled times reads of a byte, and writes more bytes when all have been read.
func refilled(write func(p []byte) (int, error), read func() (int, error)) func(d time.Duration) []float64 {
	left, much := 0, make([]byte, 4096)
	return func(d time.Duration) []float64 {
		return each(d, func() {
			if left == 0 {
				n, err := write(much)
				mustNot(err)
				left = n
			}
			moved(read())
			left--
		})
	}
}

func fileRow() Row {
	return Row{
		Name:  "uring/file",
		Title: "Random reads of a file by eight goroutines",
		About: "Eight goroutines read pages of 4 KiB at random from a file of 64 MiB, in the folder for temporary files. The file is " +
			"in memory, or every page is dropped again once it was read. Time is wall time per read, that of the call that drops " +
			"the page included. Reads that the kernel fails with EFAULT are in it, and counted in the notes.",
		Base: "os.File.ReadAt",
		jobs: func(set *Settings) []Job { return []Job{fileJob(set, "cached", false), fileJob(set, "cold", true)} },
	}
}

func fileJob(set *Settings, name string, cold bool) Job {
	return Job{Cell: Cell{Name: name, Procs: set.headline(), Unit: "ns/read"}, run: func() ([]measure.Series, []string) {
		f := bigFile(set.scaled(64<<20, 1<<20))
		defer f.Close()
		var failed, all atomic.Int64
		fd := int(f.Fd())
		series := measure.Interleave([]measure.Subject{
			pagesOf(f, cold, "os.File.ReadAt", f.ReadAt),
			pagesOf(f, cold, "vigil", func(p []byte, off int64) (int, error) {
				n, err := uringwake.Read(context.Background(), fd, p, off)
				if all.Add(1); errors.Is(err, unix.EFAULT) {
					failed.Add(1)
					return len(p), nil
				}
				return n, err
			}),
		}, set.Rounds, set.Slice)
		if failed.Load() == 0 {
			return series, nil
		}
		return series, []string{fmt.Sprintf("EFAULT: %d of vigil's %d reads", failed.Load(), all.Load())}
	}}
}

// bigFile is a file without a name, on the disk and in memory.
func bigFile(size int) *os.File {
	f, err := os.CreateTemp("", "vigil")
	mustNot(err)
	mustNot(os.Remove(f.Name()))
	_, err = f.Write(make([]byte, size))
	mustNot(err)
	mustNot(f.Sync())
	return f
}

func pagesOf(f *os.File, cold bool, name string, readAt func(p []byte, off int64) (int, error)) measure.Subject {
	const page, workers = 4096, 8
	info, err := f.Stat()
	mustNot(err)
	fd, pages, buffers := int(f.Fd()), info.Size()/page, [workers][page]byte{}
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		if cold {
			mustNot(unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)) // no readahead
			mustNot(unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
		}
		return measure.Slice(workers, slice, func(worker int) int {
			off := rand.Int64N(pages) * page
			_, err := readAt(buffers[worker][:], off)
			mustNot(err)
			if cold {
				mustNot(unix.Fadvise(fd, off, page, unix.FADV_DONTNEED))
			}
			return 1
		})
	}}
}

func lateRow() Row {
	return Row{
		Name:  "uring/late",
		Title: "Late readers next to threads that sleep in the kernel",
		About: "Eight goroutines wait for stamps in a pipe each, written about every 5 ms, for two seconds. Meanwhile four other " +
			"goroutines write a MiB and call fsync, or touch a page by a system call that nothing interrupts and that takes " +
			"200 ms (userfaultfd). What counts is the share of reads that returned within 100 ms of their stamp.",
		Base: "netpoller",
		jobs: func(set *Settings) []Job {
			jobs := []Job{lateJob(set, "fsync", syncing)}
			if fd, err := userfaultFD(); err == nil {
				unix.Close(fd)
				jobs = append(jobs, lateJob(set, "asleep", faulting))
			}
			return jobs
		},
	}
}

func lateJob(set *Settings, name string, busy func(over *atomic.Bool)) Job {
	slice := max(set.Slice, 2*time.Second)
	if set.Quick {
		slice = 20 * time.Millisecond
	}
	read := func(fd int, f *os.File, p []byte) (int, error) { return f.Read(p) }
	ring := func(fd int, f *os.File, p []byte) (int, error) {
		return uringwake.Read(context.Background(), fd, p, -1)
	}
	return Job{Cell: Cell{Name: name, Procs: set.headline(), Unit: "% within 100 ms"}, run: func() ([]measure.Series, []string) {
		return measure.Interleave([]measure.Subject{
			{Name: "netpoller", Run: func(time.Duration) measure.Sample { return onTime(slice, busy, unix.O_NONBLOCK, read) }},
			{Name: "vigil goroutines", Run: func(time.Duration) measure.Sample { return onTime(slice, busy, 0, ring) }},
		}, set.Rounds, slice), nil
	}}
}

// onTime returns the percentage of the reads that were not late.
func onTime(slice time.Duration, busy func(over *atomic.Bool), flags int, read func(int, *os.File, []byte) (int, error)) measure.Sample {
	var over atomic.Bool
	var others, workers sync.WaitGroup
	for range 4 {
		others.Go(func() { busy(&over) })
	}
	var soon, all atomic.Int64
	for range 8 {
		var fds [2]int
		mustNot(unix.Pipe2(fds[:], unix.O_CLOEXEC|flags))
		f := os.NewFile(uintptr(fds[0]), "pipe")
		workers.Go(func() {
			defer unix.Close(fds[1])
			for end := nanos() + int64(slice); nanos() < end; time.Sleep(5 * time.Millisecond) {
				moved8(unix.Write(fds[1], binary.NativeEndian.AppendUint64(nil, uint64(nanos()))))
			}
		})
		workers.Go(func() {
			defer f.Close()
			p := make([]byte, 8)
			for {
				if n, _ := read(fds[0], f, p); n == 0 {
					return
				}
				if all.Add(1); nanos()-int64(binary.NativeEndian.Uint64(p)) <= int64(100*time.Millisecond) {
					soon.Add(1)
				}
			}
		})
	}
	workers.Wait()
	over.Store(true)
	others.Wait()
	return measure.Sample{Value: 100 * float64(soon.Load()) / float64(max(all.Load(), 1))}
}

func moved8(n int, err error) {
	if err != nil || n != 8 {
		panic(fmt.Sprint("rows: a stamp was not written: ", n, err))
	}
}

func syncing(over *atomic.Bool) {
	f := bigFile(0)
	defer f.Close()
	for p := make([]byte, 1<<20); !over.Load(); {
		_, err := f.WriteAt(p, 0)
		mustNot(err)
		mustNot(f.Sync())
	}
}

func userfaultFD() (int, error) {
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(fd), nil
}

// faulting touches, repeatedly, a page that is there only after 200 ms.
func faulting(over *atomic.Bool) {
	const api, register, zero, missing = 0xc018aa3f, 0xc020aa00, 0xc020aa04, 1 // ioctls of userfaultfd(2)
	fd, err := userfaultFD()
	mustNot(err)
	defer unix.Close(fd)
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	mustNot(err)
	defer unix.Munmap(page)
	ioctl := func(request uintptr, arg [4]uint64) {
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg))); e != 0 {
			panic(e)
		}
	}
	start, size := uint64(uintptr(unsafe.Pointer(&page[0]))), uint64(len(page))
	ioctl(api, [4]uint64{0xaa})
	ioctl(register, [4]uint64{start, size, missing})
	for !over.Load() {
		filled := make(chan struct{})
		time.AfterFunc(200*time.Millisecond, func() { defer close(filled); ioctl(zero, [4]uint64{start, size}) })
		mustNot(unix.Madvise(page, unix.MADV_POPULATE_WRITE))
		<-filled
		mustNot(unix.Madvise(page, unix.MADV_DONTNEED))
	}
}
