// Command mutants shows that the tests see each thing that keeps a wake from
// being lost. It takes one re-check, one ordering or one hand-over out of a
// copy of the module, runs the tests that should notice, and prints which did.
//
//	go run ./race_test/mutants             all, two hours
//	go run ./race_test/mutants -run waitq  those whose file or reason matches
//	go run ./race_test/mutants -by stress  which of them the stress alone catches
//
// It exits with status 1 if a mutant survives, and at once if one of them
// cannot be made because the text that it changes is not there any more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A mutation is a change of one text, which must be in the file just once.
type mutation struct {
	file     string
	old, new string
	why      string // what the text is there for
	only     string // the tests of its package to run; "": all
}

// A verdict is what became of a mutant.
type verdict struct {
	caughtBy string // the first test that failed; "": it survived
	seed     string // of the history that has no explanation, if it was one
	took     time.Duration
}

var (
	match     = flag.String("run", "", "only the mutants whose file or reason matches this regular expression")
	kinds     = flag.String("by", ".", "only by these tests, a regular expression: histories, own (the package's), rings (histories with tasks), stress")
	seed      = flag.Int64("seed", 1, "first seed of the recorded histories, and of the stress")
	histories = flag.Int("histories", 1000, "recorded histories per test; a fifth of it on rings")
	limit     = flag.Duration("limit", time.Minute, "how long a test run may take: one that hangs has caught its mutant")
	keep      = flag.Bool("v", false, "print the end of what the failed tests said")
)

func main() {
	flag.Parse()
	survivors, err := run(chosen(regexp.MustCompile(*match)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if survivors > 0 {
		fmt.Printf("%d survived\n", survivors)
		os.Exit(1)
	}
}

func chosen(re *regexp.Regexp) (list []mutation) {
	for _, m := range mutations {
		if re.MatchString(m.file) || re.MatchString(m.why) {
			list = append(list, m)
		}
	}
	return list
}

const row = "%-24s %-56s %-36s %6s %8s\n"

// run tries all mutants, in one copy of the module. The copy as it is must
// pass, or else what fails tells nothing.
func run(list []mutation) (survivors int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, err
	}
	for _, m := range list { // all at once, before an hour is spent on the others
		if _, err := m.apply(root); err != nil {
			return 0, err
		}
	}
	dir, err := os.MkdirTemp("", "vigil-mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := copyModule(root, dir); err != nil {
		return 0, err
	}
	if err := healthy(dir, list); err != nil {
		return 0, err
	}
	fmt.Printf(row, "file", "without", "caught by", "seed", "seconds")
	for i, m := range list {
		fmt.Fprintf(os.Stderr, "%d of %d\r", i+1, len(list))
		v, err := try(dir, m)
		if err != nil {
			return survivors, err
		}
		if v.caughtBy == "" {
			survivors++
			v.caughtBy = "NOBODY"
		}
		fmt.Printf(row, m.file, m.why, v.caughtBy, v.seed, fmt.Sprintf("%.1f", v.took.Seconds()))
	}
	fmt.Printf("%d mutants, seeds from %d\n", len(list), *seed)
	return survivors, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// skipped is what no test of a mutant needs.
var skipped = []string{".git", "bench", "examples", "cluster"}

func copyModule(root, dir string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, s := range skipped {
			if rel == s && d.IsDir() {
				return filepath.SkipDir
			} else if rel == s { // .git of a worktree
				return nil
			}
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), text, 0o644)
	})
}

// healthy runs the tests on a copy without a mutation.
func healthy(dir string, list []mutation) error {
	done := make(map[string]bool)
	for _, m := range list {
		for _, args := range m.tests() {
			line := strings.Join(args, " ")
			if done[line] {
				continue
			}
			done[line] = true
			fmt.Fprintf(os.Stderr, "without a mutation: go %s\n", line)
			if v, err := test(dir, args); err != nil || v.caughtBy != "" {
				return errors.Join(err, fmt.Errorf("without a mutation go %s fails: %s", line, v.caughtBy))
			}
		}
	}
	return nil
}

// apply returns the mutated text of the file.
func (m mutation) apply(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("%s: %d times in the file, must be once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(string(text), m.old, m.new, 1), nil
}

// tests are the runs of go test that may catch the mutant: the recorded
// histories, the package's own, the histories on rings, which take longer, and the
// stress. All have points at which they hold up who passes.
func (m mutation) tests() [][]string {
	run := func(args ...string) []string {
		return append([]string{"test", "-tags", "vigil_yield", "-short", "-failfast", "-timeout", limit.String()}, args...)
	}
	own := run("./" + filepath.Dir(m.file))
	if m.only != "" {
		own = append(own, "-run", m.only)
	}
	const recorded = "^Test(Map|Notify|Group|Flights)"
	first := fmt.Sprint(*seed)
	var list [][]string
	for _, kind := range []struct {
		name string
		args []string
	}{
		{"histories", run("./race_test/linear", "-run", recorded, "-skip", "OnRing$", "-seed", first, "-histories", fmt.Sprint(*histories), "-patience", "10s")},
		{"own", own},
		{"rings", run("./race_test/linear", "-run", recorded+".*OnRing$", "-seed", first, "-histories", fmt.Sprint(*histories/5), "-patience", "10s")},
		{"stress", run("./race_test", "-run", "^TestStress$", "-seed", first, "-duration", "10s", "-patience", "10s")},
	} {
		if regexp.MustCompile(*kinds).MatchString(kind.name) {
			list = append(list, kind.args)
		}
	}
	return list
}

// try makes the mutant, runs its tests and puts the file back.
func try(dir string, m mutation) (v verdict, err error) {
	path := filepath.Join(dir, m.file)
	good, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	bad, err := m.apply(dir)
	if err != nil {
		return v, err
	}
	if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
		return v, err
	}
	for _, args := range m.tests() {
		one, err := test(dir, args)
		v.took += one.took
		if v.caughtBy, v.seed = one.caughtBy, one.seed; err != nil || v.caughtBy != "" {
			return v, errors.Join(err, os.WriteFile(path, good, 0o644))
		}
	}
	return v, os.WriteFile(path, good, 0o644)
}

var errBuild = errors.New("the mutant does not compile")

// test runs go test, and says which test failed first.
func test(dir string, args []string) (v verdict, err error) {
	const grace = 30 * time.Second // to build, and to die
	ctx, cancel := context.WithTimeout(context.Background(), 2*(*limit)+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	v.took = time.Since(start)
	if err == nil {
		return v, nil
	}
	if strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]") {
		return v, fmt.Errorf("%w:\n%s", errBuild, out)
	}
	if *keep {
		fmt.Fprintf(os.Stderr, "\n%s\n", out[:min(len(out), 3000)])
	}
	v.caughtBy = firstFailure(string(out))
	if m := guilty.FindStringSubmatch(string(out)); m != nil {
		v.seed = m[1]
	}
	return v, nil
}

var failures = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^\s+--- FAIL: (\S+)`), // a subtest says more than its test
	regexp.MustCompile(`(?m)^--- FAIL: (\S+)`),
	regexp.MustCompile(`(?s)test timed out.*?running tests:\s+(\S+)`),
	regexp.MustCompile(`(?m)^((?:panic|fatal error): .{0,40})`),
}

// guilty finds the seed in what race_test/linear says of a history, and
// TestStress of a round.
var guilty = regexp.MustCompile(`(?m)(?:history with seed |^\s+\S+ seed |^\s+go test .* -seed )(\d+)`)

// firstFailure names what a failed go test complained of.
func firstFailure(out string) string {
	for i, re := range failures {
		if m := re.FindStringSubmatch(out); m != nil {
			if i == 2 {
				return m[1] + " (hangs)"
			}
			return m[1]
		}
	}
	return "go test"
}
