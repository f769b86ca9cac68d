// Package server starts the servers that are measured. Each is a process of its own, so
// that what it takes is not that of its clients: this program once more, or a C program
// of package floor.
package server

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"

	"github.com/vigil-go/vigil/bench/floor"
)

const (
	// which tells a process that it is a server, and of which kind.
	which = "VIGIL_BENCH_SERVER"
	// profiles is the folder for CPU profiles of all servers in Go, if it is set.
	profiles = "VIGIL_BENCH_PROFILES"
)

// A Kind is one of the servers in Go.
type Kind string

// Echo servers read up to as many bytes as they were told, and write them back.
const (
	EchoNet        Kind = "echo net"        // package net, a goroutine for each connection
	EchoTasks      Kind = "echo tasks"      // package uringnet, a task for each connection, a loop for each processor
	EchoOneLoop    Kind = "echo one loop"   // the same on one loop
	EchoGoroutines Kind = "echo goroutines" // package uringnet, a goroutine for each connection
)

// Hello servers are those of net/http, and answer each request with the same bytes.
const (
	HelloNet        Kind = "hello net"        // over package net
	HelloGoroutines Kind = "hello goroutines" // over package uringnet
)

// serve starts a server of a kind on a port of its own of 127.0.0.1.
type serve func(size int) (net.Addr, error)

var kinds = map[Kind]serve{
	EchoNet:         echoNet,
	EchoTasks:       echoTasks(0),
	EchoOneLoop:     echoTasks(1),
	EchoGoroutines:  echoGoroutines,
	HelloNet:        helloNet,
	HelloGoroutines: helloGoroutines,
}

// Start starts a server with buffers of size bytes under GOMAXPROCS procs. It listens on
// what Ready says.
func Start(kind Kind, size, procs int) (*Proc, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(),
		fmt.Sprintf("%s=%s %d", which, kind, size),
		fmt.Sprintf("GOMAXPROCS=%d", procs),
		fmt.Sprintf("GORACE=%s atexit_sleep_ms=0", os.Getenv("GORACE")))
	return begun(floor.Start(string(kind), cmd))
}

func begun(proc *floor.Proc, err error) (*Proc, error) {
	if err != nil {
		return nil, err
	}
	return &Proc{proc}, nil
}

// StartC starts the server in C. The error matches errors.ErrUnsupported where it
// cannot be compiled, or the kernel lacks something.
func StartC(size int) (*Proc, error) {
	dir, err := os.MkdirTemp("", "vigil-floor-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // a running program does not need its file
	programs, err := floor.Build(dir, "echo")
	if err != nil {
		return nil, err
	}
	return begun(programs.Start("echo", fmt.Sprint(size)))
}

// A Proc is the process of a server. Close ends it.
type Proc struct{ *floor.Proc }

// Allocs returns how many objects the process has allocated. Only servers in Go know.
func (p *Proc) Allocs() (n float64, err error) {
	err = p.Ask("allocs", "%g", &n)
	return n, err
}

// init serves until the input ends, and then ends the process, if [Start] has started it.
// So any program that imports the package can call Start.
func init() {
	order := os.Getenv(which)
	if order == "" {
		return
	}
	if err := run(order); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(order string) (err error) {
	at := strings.LastIndexByte(order, ' ')
	kind, size := Kind(order[:max(at, 0)]), 0
	if _, err := fmt.Sscan(order[at+1:], &size); err != nil || kinds[kind] == nil {
		return fmt.Errorf("server: no server is %q", order)
	}
	stop, err := profiled(string(kind))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	address, err := kinds[kind](size)
	if err != nil {
		return err
	}
	fmt.Println("ready", address)
	return answer()
}

// profiled writes a profile from now on, if one is asked for.
func profiled(name string) (stop func() error, err error) {
	dir := os.Getenv(profiles)
	if dir == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", strings.ReplaceAll(name, " ", "-"), os.Getpid())))
	if err != nil {
		return nil, err
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, pprof.StartCPUProfile(f)
}

// answer answers the orders until there are no more.
func answer() error {
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		if orders.Text() != "allocs" {
			return fmt.Errorf("server: order %q", orders.Text())
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Println(m.Mallocs)
	}
	return nil
}
