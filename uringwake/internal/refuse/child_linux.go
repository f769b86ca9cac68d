package refuse

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childEnv names the test that this process was started for.
const childEnv = "VIGIL_REFUSE_CHILD"

// enforced is set once this process, a child, has its rules.
var enforced bool

// Child runs the calling test once more, alone, in a child process with the
// rules in force, and returns true there. In the parent it returns false when
// the child has ended: the caller is to return. The parent fails if the child
// failed, with its output, and is skipped if the child was.
//
// A test calls it once, before it uses io_uring. What an outer test does before
// it runs a subtest is done in the subtest's child too, without the rules.
func Child(t testing.TB, rules ...Rule) bool {
	t.Helper()
	p := newPolicy(rules)
	switch name := os.Getenv(childEnv); name {
	case t.Name():
		if enforced {
			t.Fatal("refuse: Child called twice")
		}
		enforced = true
		p.enforce(t)
		return true
	case "":
		parent(t, p)
	default:
		t.Fatalf("refuse: Child of %s within that of %s", t.Name(), name)
	}
	return false
}

// parent makes the child's result the test's own.
func parent(t testing.TB, p *policy) {
	t.Helper()
	defer p.prepare(t)()
	out, err := rerun(t, p)
	switch result := verdict(out, t.Name()); {
	case err != nil:
		t.Errorf("refuse: the child failed: %v\n%s", err, out)
	case result == "SKIP":
		t.Skipf("refuse: the child was skipped\n%s", out)
	case result != "PASS":
		t.Errorf("refuse: the child did not run the test\n%s", out)
	}
}

// rerun runs the test in a child and returns what it wrote.
func rerun(t testing.TB, p *policy) ([]byte, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// The kernel kills the child when this thread ends, so it must not end
	// before the process does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(exe, arguments(t, p)...)
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name(),
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // a second each, else
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.CombinedOutput()
}

// arguments are the child's: this test only, as the parent was asked to run it.
func arguments(t testing.TB, p *policy) []string {
	args := []string{
		"-test.run=" + pattern(t.Name()),
		"-test.v=true",
		"-test.count=1",
		fmt.Sprintf("-test.cpu=%d", runtime.GOMAXPROCS(0)),
		"-test.timeout=" + timeout(t).String(),
	}
	inherited := []string{"test.short", "test.parallel"}
	if !p.nobody { // whose user could not write there
		inherited = append(inherited, "test.gocoverdir")
	}
	for _, name := range inherited {
		if f := flag.Lookup(name); f != nil {
			args = append(args, "-"+name+"="+f.Value.String())
		}
	}
	return args
}

// pattern matches the test of that name and the tests around it.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// timeout lets the child run out of time first: it then shows where it hangs.
// Zero is no limit.
func timeout(t testing.TB) time.Duration {
	d, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return 0
	}
	deadline, ok := d.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline)*9/10, time.Second)
}

// verdict finds the test's result in a child's output: PASS, FAIL, SKIP, or ""
// if the test did not run to its end.
func verdict(out []byte, name string) string {
	m := regexp.MustCompile(`--- (PASS|FAIL|SKIP): ` + regexp.QuoteMeta(name) + ` \(`).FindSubmatch(out)
	if m == nil {
		return ""
	}
	return string(m[1])
}
