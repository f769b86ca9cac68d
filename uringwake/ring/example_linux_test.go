package ring_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// open makes a ring for an example. Where there is none, the example prints
// what it would have.
func open(otherwise string) *ring.Ring {
	r, err := ring.Setup(8, nil)
	if errors.Is(err, errors.ErrUnsupported) {
		fmt.Println(otherwise)
		return nil
	}
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// Read a file: prepare, submit, wait, see.
func Example_readAFile() {
	r := open("7 bytes: content")
	if r == nil {
		return
	}
	defer r.Close()
	f, err := os.CreateTemp("", "ring")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	f.WriteString("content")

	p := make([]byte, 16)
	s := r.SQ().GetSQE()
	s.PrepRead(int(f.Fd()), p, 0)
	s.SetData(1)
	if _, err := r.SQ().Submit(); err != nil {
		log.Fatal(err)
	}
	c, err := r.CQ().Wait()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes: %s\n", c.Res, p[:c.Res])
	r.CQ().Seen()
	runtime.KeepAlive(p) // the kernel has written to it
	// Output: 7 bytes: content
}

// Write, then sync, in one system call: the second starts when the first has
// succeeded.
func Example_linkedOperations() {
	r := open("write: 4\nsync: 0")
	if r == nil {
		return
	}
	defer r.Close()
	f, err := os.CreateTemp("", "ring")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()

	p := []byte("text")
	entries, _ := r.SQ().GetSQEs(2)
	steps := []string{"write", "sync"}
	prepare := []func(s *ring.SQE){
		func(s *ring.SQE) { s.PrepWrite(int(f.Fd()), p, 0) },
		func(s *ring.SQE) { s.PrepFsync(int(f.Fd()), ring.FsyncDatasync) },
	}
	i := 0
	for s := range entries.SoftLinked() {
		prepare[i](s)
		s.SetData(uint64(i))
		i++
	}
	if _, err := r.SQ().Submit(); err != nil {
		log.Fatal(err)
	}
	left := len(steps)
	for c, err := range r.CQ().Blocking(1) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %d\n", steps[c.UserData], c.Res)
		if left--; left == 0 {
			break
		}
	}
	// Output:
	// write: 4
	// sync: 0
}

// Wait for at most some time.
func Example_waitWithATimeout() {
	r := open("nothing came")
	if r == nil {
		return
	}
	defer r.Close()
	_, err := r.CQ().WaitTimeout(1, time.Millisecond)
	if errors.Is(err, unix.ETIME) || errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("nothing came")
	}
	// Output: nothing came
}

// A message wakes the goroutine that waits on a ring, from anywhere.
func Example_sendAMessage() {
	r := open("message 42")
	if r == nil {
		return
	}
	defer r.Close()
	var s ring.SQE
	s.PrepMsgRing(r.FD(), 0, 42, 0)
	if err := ring.SendMsgRing(&s); errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("message 42")
		return
	} else if err != nil {
		log.Fatal(err)
	}
	c, err := r.CQ().Wait()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("message", c.UserData)
	r.CQ().Seen()
	// Output: message 42
}

// Ask what the running kernel knows.
func Example_probeTheKernel() {
	p, err := ring.GetProbe()
	if err != nil {
		fmt.Println("no io_uring:", err)
		return
	}
	if p.Supported(ring.OpFutexWait) {
		fmt.Println("futexes can be waited for")
	}
}
