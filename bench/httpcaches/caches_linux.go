// Package httpcaches starts HTTP caches that are to be measured: examples/dedupcache, nginx
// and varnish. Each runs in processes of its own.
package httpcaches

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The names of the caches, for [Start].
const (
	Vigil   = "vigil"
	Nginx   = "nginx"
	Varnish = "varnish"
)

// A Cache is a running cache. It must be closed.
type Cache struct {
	Name    string
	Address string // host and port
	dir     string
	cmd     *exec.Cmd
	ended   chan struct{}
}

// Start starts the cache with the given name in front of origin, which is a host and a port,
// and waits until it accepts connections. procs is GOMAXPROCS of vigil and the number of
// nginx's workers. The error matches errors.ErrUnsupported if the cache is not installed.
func Start(name, origin string, procs int) (_ *Cache, err error) {
	command := commands[name]
	if command == nil {
		return nil, fmt.Errorf("httpcaches: there is no cache %q", name)
	}
	c := &Cache{Name: name, ended: make(chan struct{})}
	if c.Address, err = freeAddress(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "vigil-cache-"); err != nil {
		return nil, err
	}
	if err = os.Chmod(c.dir, 0o755); err == nil { // nginx drops its privileges
		c.cmd, err = command(c, origin, procs)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	go func() { c.cmd.Wait(); close(c.ended) }()
	if err := c.waitUntilServing(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// freeAddress returns an address that is not in use.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// commands has, for each cache, a function that writes its files and returns the command that
// starts it.
var commands = map[string]func(c *Cache, origin string, procs int) (*exec.Cmd, error){
	Vigil: vigil, Nginx: nginx, Varnish: varnish,
}

func vigil(c *Cache, origin string, procs int) (*exec.Cmd, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/vigil-go/vigil").Output()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(c.dir, "dedupcache")
	build := exec.Command("go", "build", "-o", program, "./examples/dedupcache")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("httpcaches: %w: %s", err, out)
	}
	cmd := exec.Command(program, "-listen", c.Address, "-origin", "http://"+origin, "-max-bytes", "1GiB")
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	return cmd, nil
}

func installed(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed: %w", name, errors.ErrUnsupported)
	}
	return path, nil
}

// nginxConf leaves tcp_nopush off, as it is by nginx's default. With Debian's, on, pages of
// 64 KiB wait 40 ms for the client's acknowledgement.
const nginxConf = `
daemon off; worker_processes %[4]d; pid %[1]s/pid; error_log /dev/null;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_cache_path %[1]s/cache levels=1:2 keys_zone=pages:64m max_size=1g use_temp_path=off;
  upstream origin { server %[3]s; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen %[2]s backlog=4096;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache pages; proxy_cache_lock on;
    }
  }
}
`

func nginx(c *Cache, origin string, procs int) (*exec.Cmd, error) {
	path, err := installed("nginx")
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(c.dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, c.dir, c.Address, origin, procs)
	return exec.Command(path, "-p", c.dir, "-c", conf), os.WriteFile(conf, []byte(text), 0o644)
}

func varnish(c *Cache, origin string, _ int) (*exec.Cmd, error) {
	path, err := installed("varnishd")
	if err != nil {
		return nil, err
	}
	return exec.Command(path, "-F", "-j", "none", "-n", filepath.Join(c.dir, "varnish"), "-a", c.Address, "-b", origin,
		"-s", "malloc,1g"), nil
}

// limit is how long a cache may take to start, or to end.
const limit = 20 * time.Second

// waitUntilServing waits until the cache accepts connections.
func (c *Cache) waitUntilServing() error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", c.Address); err == nil {
			return conn.Close()
		}
		select {
		case <-c.ended:
			return fmt.Errorf("httpcaches: %s ended: %v", c.Name, c.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("httpcaches: %s does not start", c.Name)
}

// Close ends the processes of the cache and removes its files.
func (c *Cache) Close() error {
	err := c.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-c.ended:
	case <-time.After(limit):
		err = errors.Join(err, fmt.Errorf("httpcaches: %s does not end", c.Name), c.cmd.Process.Kill())
		<-c.ended
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// CPU returns the CPU time of the cache's processes, in user space and in the kernel.
func (c *Cache) CPU() (time.Duration, error) { return cpuOf(c.cmd.Process.Pid) }

// cpuOf returns the CPU time of a process and its descendants.
func cpuOf(pid int) (time.Duration, error) {
	const sched = 2                         // CPUCLOCK_SCHED: what the scheduler counts, in nanoseconds
	clock := int32(^uint32(pid)<<3 | sched) // what clock_getcpuclockid(3) returns
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, err
	}
	total := time.Duration(t.Nano())
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		children, failed := os.ReadFile(file)
		if failed != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(children)) {
			n, failed := strconv.Atoi(child)
			took, missing := cpuOf(n)
			if failed == nil && missing == nil {
				total += took
			}
		}
	}
	return total, err
}
