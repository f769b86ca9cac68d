// Command mutants shows that the tests notice if a part that prevents lost wakes is
// missing. It removes one re-check, one ordering or one hand-over from a copy of the
// module, runs the tests that should fail, and prints which of them did.
//
//	go run ./race_test/mutants             all; takes two hours
//	go run ./race_test/mutants -run waitq  only the mutants whose file or reason matches
//	go run ./race_test/mutants -by stress  which mutants the stress test alone catches
//
// It exits with status 1 if a mutant survives, and at once if one of them
// cannot be made because the text that it changes is no longer there.
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

// A mutation is a change of one text, which must occur in the file exactly once.
type mutation struct {
	file     string
	old, new string
	why      string // the property that the old text ensures
	in       string // the package whose tests are run; that of the file if empty
	only     string // the tests of the package to run; all if empty
}

// A verdict is the result of the tests of one mutant.
type verdict struct {
	caughtBy string // the first test that failed; empty if the mutant survived
	seed     string // of the history that is not linearizable, if the failure is one
	took     time.Duration
}

var (
	match     = flag.String("run", "", "only the mutants whose file or reason matches this regular expression")
	listOnly  = flag.Bool("list", false, "print the mutants and their number, and run no tests")
	kinds     = flag.String("by", ".", "only by these tests, a regular expression: histories, own (the package's), rings (histories with tasks), stress")
	seed      = flag.Int64("seed", 1, "first seed of the recorded histories and of the stress test")
	histories = flag.Int("histories", 1000, "recorded histories per test; a fifth of that on rings")
	limit     = flag.Duration("limit", time.Minute, "time limit of a test run; a run that hangs has caught its mutant")
	keep      = flag.Bool("v", false, "print the output of the failed tests, at most 3000 bytes")
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

// run tests all mutants in one copy of the module. The unchanged copy must pass the
// tests, because otherwise a failure would not show that a mutant was caught.
func run(list []mutation) (survivors int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, err
	}
	for _, m := range list { // check all first: a run takes hours
		if _, err := m.apply(root); err != nil {
			return 0, err
		}
	}
	if *listOnly {
		printList(list)
		return 0, nil
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

func printList(list []mutation) {
	for _, m := range list {
		fmt.Printf("%-24s %s\n", m.file, m.why)
	}
	fmt.Printf("%d mutants\n", len(list))
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// skipped are the files that no test of a mutant needs.
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
			} else if rel == s { // in a worktree .git is a file
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

// healthy runs the tests on the unchanged copy and returns an error if one fails.
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

// tested returns the package whose tests are run.
func (m mutation) tested() string {
	if m.in != "" {
		return m.in
	}
	return filepath.Dir(m.file)
}

// tests returns the arguments of the runs of go test that may catch the mutant: the
// recorded histories, the package's own tests, the histories on rings, which take
// longer, and the stress test. All are built with schedule points, which delay
// goroutines.
func (m mutation) tests() [][]string {
	run := func(args ...string) []string {
		return append([]string{"test", "-tags", "vigil_schedpoint", "-short", "-failfast", "-timeout", limit.String()}, args...)
	}
	own := run("./" + m.tested())
	if m.only != "" {
		own = append(own, "-run", m.only)
	}
	const recorded = "^Test(Map|Notify|Group|Flights|Value|Once|Lock|Queue)"
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

// try writes the mutant, runs its tests and restores the file.
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

// test runs go test and returns which test failed first.
func test(dir string, args []string) (v verdict, err error) {
	const grace = 30 * time.Second // to build and to exit
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
	regexp.MustCompile(`(?m)^\s+--- FAIL: (\S+)`), // the name of a subtest includes that of its test
	regexp.MustCompile(`(?m)^--- FAIL: (\S+)`),
	regexp.MustCompile(`(?s)test timed out.*?running tests:\s+(\S+)`),
	regexp.MustCompile(`(?m)^((?:panic|fatal error): .{0,40})`),
}

// guilty finds the seed in the failure of a history in race_test/linear, or of a
// round of TestStress.
var guilty = regexp.MustCompile(`(?m)(?:history with seed |^\s+\S+ seed |^\s+go test .* -seed )(\d+)`)

// firstFailure returns the first failure in the output of go test.
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
