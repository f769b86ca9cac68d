// Package machines starts the processes that the rows of package cluster measure: servers, and
// processes that use them, each of which stands for a machine. They are this program once
// more, and talk over the loopback interface.
package machines

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/vigil-go/vigil/bench/floor"
)

// env tells a process that it is a machine, with which role and arguments.
const env = "VIGIL_BENCH_MACHINE"

// A role is what a process does. It gets the arguments of start.
type role func(args []byte) (*service, error)

// A service is a role that has begun.
type service struct {
	ready  string // what others must know, such as an address
	orders map[string]order
	end    func() error // called when the process is to end
}

// An order is something that a process can be told to do.
type order func(args []byte) (answer any, err error)

// on returns the order that calls f.
func on[A, R any](f func(A) (R, error)) order {
	return func(data []byte) (any, error) {
		args, err := decoded[A](data)
		if err != nil {
			return nil, err
		}
		return f(args)
	}
}

// begin returns the role that f begins.
func begin[A any](f func(A) (*service, error)) role {
	return func(data []byte) (*service, error) {
		args, err := decoded[A](data)
		if err != nil {
			return nil, err
		}
		return f(args)
	}
}

func decoded[A any](data []byte) (args A, err error) {
	err = json.Unmarshal(data, &args)
	return args, err
}

// roles has all roles by name.
var roles = map[string]role{
	"nats": begin(serveNATS), "etcd": begin(serveEtcd), "redis": begin(serveRedis),
	"talker": begin(talk), "member": begin(join),
}

// A machine is a process. It is not for concurrent use. It must be closed.
type machine struct{ *floor.Proc }

// start starts a process with a role.
func start(role string, args any) (*machine, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), env+"="+role+" "+string(data), fmt.Sprintf("GORACE=%s atexit_sleep_ms=0", os.Getenv("GORACE")))
	proc, err := floor.Start(role, cmd)
	if err != nil {
		return nil, err
	}
	return &machine{proc}, nil
}

// tell gives an order and returns the answer.
func tell[R any](m *machine, order string, args any) (answer R, err error) {
	data, err := json.Marshal(args)
	if err != nil {
		return answer, err
	}
	var text string
	if err := m.Ask(order+" "+string(data), "%s", &text); err != nil {
		return answer, err
	}
	return answer, json.Unmarshal([]byte(text), &answer)
}

// init does what the process was started for, and then ends it. So any program that imports
// the package can start machines.
func init() {
	what := os.Getenv(env)
	if what == "" {
		return
	}
	os.Unsetenv(env) // not for the processes that this one starts
	if err := serve(what); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve begins a role, and carries out orders until there are no more.
func serve(what string) (err error) {
	name, args, _ := strings.Cut(what, " ")
	begin := roles[name]
	if begin == nil {
		return fmt.Errorf("machines: there is no role %q", name)
	}
	s, err := begin([]byte(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	fmt.Println("ready", s.ready)
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		if err := s.carryOut(orders.Text()); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) carryOut(line string) error {
	name, args, _ := strings.Cut(line, " ")
	order := s.orders[name]
	if order == nil {
		return fmt.Errorf("machines: there is no order %q", name)
	}
	answer, err := order([]byte(args))
	if err != nil {
		return fmt.Errorf("machines: %s: %w", name, err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	fmt.Println(string(data))
	return nil
}
