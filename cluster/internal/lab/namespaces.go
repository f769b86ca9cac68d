package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Supported returns nil if processes can be kept apart that way here. Otherwise the error says
// why not, and matches errors.ErrUnsupported.
func Supported(i Isolation) error {
	why := ""
	_, noIP := exec.LookPath("ip")
	switch {
	case runtime.GOOS == "js" || runtime.GOOS == "wasip1":
		why = "no processes on " + runtime.GOOS
	case i == Proxies:
	case runtime.GOOS != "linux":
		why = "network namespaces are those of Linux"
	case os.Geteuid() != 0:
		why = "network namespaces need root"
	case noIP != nil:
		why = "network namespaces need the command ip"
	default:
		why = forbidden()
	}
	if why != "" {
		return fmt.Errorf("lab: %s: %w", why, errors.ErrUnsupported)
	}
	return nil
}

// forbidden says why this process cannot make a namespace, if that is so.
var forbidden = sync.OnceValue(func() string {
	name := fmt.Sprintf("%s%d-try", prefix, os.Getpid())
	if err := ip("netns", "add", name); err != nil {
		return err.Error()
	}
	if err := ip("netns", "del", name); err != nil {
		return err.Error()
	}
	return ""
})

// ip runs the command of that name.
func ip(arguments ...string) error { return command("ip", arguments...) }

func command(name string, arguments ...string) error {
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Namespaces are the network of a Lab in which each process has one, and one more has
// the bridge.
type namespaces struct {
	base string // of the names
	made []string
	all  []*Process
}

var labs atomic.Int64 // of this process

func newNamespaces() (*namespaces, error) {
	sweepNamespaces()
	n := &namespaces{base: fmt.Sprintf("%s%d-%d-", prefix, os.Getpid(), labs.Add(1))}
	if err := n.make(n.hub()); err != nil {
		return n, err
	}
	if err := ip("-n", n.hub(), "link", "add", "bridge", "type", "bridge"); err != nil {
		return n, err
	}
	return n, ip("-n", n.hub(), "link", "set", "bridge", "up")
}

func (n *namespaces) hub() string { return n.base + "hub" }

func (n *namespaces) make(name string) error {
	n.made = append(n.made, name)
	return ip("netns", "add", name)
}

func (n *namespaces) name(p *Process) string { return n.base + fmt.Sprint(p.index) }

// link returns the name of the end of p's link at the bridge.
func (n *namespaces) link(p *Process) string { return fmt.Sprintf("link%d", p.index) }

func (n *namespaces) address(p *Process) string {
	return fmt.Sprintf("10.0.%d.%d", p.index/250, p.index%250+1)
}

func (n *namespaces) add(p *Process) error {
	own := n.name(p)
	n.all = append(n.all, p)
	if err := n.make(own); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"-n", n.hub(), "link", "add", n.link(p), "type", "veth", "peer", "name", "eth0", "netns", own},
		{"-n", own, "address", "add", n.address(p) + "/16", "dev", "eth0"},
		{"-n", own, "link", "set", "lo", "up"},
		{"-n", own, "link", "set", "eth0", "up"},
		{"-n", n.hub(), "link", "set", n.link(p), "master", "bridge", "up"},
	} {
		if err := ip(step...); err != nil {
			return err
		}
	}
	return nil
}

func (n *namespaces) command(p *Process, argv []string) []string {
	return append([]string{"ip", "netns", "exec", n.name(p)}, argv...)
}

const clientPort, routePort = 4222, 6222

// servers returns the addresses of the servers, except p.
func (n *namespaces) servers(except *Process, port int) (all []string) {
	for _, s := range except.lab.servers {
		if s.Process != except {
			all = append(all, fmt.Sprintf("%s:%d", n.address(s.Process), port))
		}
	}
	return all
}

func (n *namespaces) layout(p *Process) serverConfig {
	return serverConfig{Host: n.address(p), ClientPort: clientPort, RoutePort: routePort, Routes: n.servers(p, routePort)}
}

func (n *namespaces) listens(*Process, listening) {}

func (n *namespaces) addresses(p *Process) []string { return urls(n.servers(p, clientPort)) }

func urls(addresses []string) (all []string) {
	for _, a := range addresses {
		all = append(all, "nats://"+a)
	}
	return all
}

func (n *namespaces) cut(p *Process, down bool) error {
	state := "up"
	if down {
		state = "down"
	}
	return ip("-n", n.hub(), "link", "set", n.link(p), state)
}

// slow delays what either end of the link sends.
func (n *namespaces) slow(p *Process, delay time.Duration) error {
	for space, link := range map[string]string{n.hub(): n.link(p), n.name(p): "eth0"} {
		arguments := []string{"-n", space, "qdisc", "replace", "dev", link, "root", "netem", "delay", fmt.Sprintf("%dus", delay.Microseconds())}
		if delay == 0 {
			arguments = []string{"-n", space, "qdisc", "replace", "dev", link, "root", "pfifo"}
		}
		if err := command("tc", arguments...); err != nil {
			return fmt.Errorf("lab: %w: %w", err, errors.ErrUnsupported)
		}
	}
	return nil
}

// close removes the namespaces, and with them the links. Their processes have ended.
func (n *namespaces) close() (err error) {
	for _, name := range n.made {
		err = errors.Join(err, ip("netns", "del", name))
	}
	return err
}

// sweepNamespaces removes those of processes that were killed.
func sweepNamespaces() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		if name := strings.Fields(line); len(name) > 0 && orphaned(name[0]) {
			ip("netns", "del", name[0])
		}
	}
}
