package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A suite is what one package's tests said on one kernel.
type suite struct {
	kernel, name string
	refused      bool   // io_uring is
	exit         string // "": the machine went down first
	unmet        string // what else is wrong with the machine
	tests        []*test
}

// A test is one test or subtest.
type test struct {
	name   string
	result string // PASS, FAIL, SKIP, or "" if it never ended
	why    string // the last that it said
	log    []string
}

var (
	began  = regexp.MustCompile(`^=== (?:RUN|CONT|NAME)\s+(\S+)$`)
	ended  = regexp.MustCompile(`^( *)--- (PASS|FAIL|SKIP): (\S+) \(`)
	said   = regexp.MustCompile(`^\s+\w+\.go:\d+: (.+)$`)
	ends   = regexp.MustCompile(`(?m)^== end\r?$`)
	before = regexp.MustCompile(`(?:before|needs) Linux (\d+)\.(\d+)('s)?`)
	older  = regexp.MustCompile(`older than (\d+)\.(\d+)`)
)

// readMachine reads what a machine said, and finds what it should have said: the
// last mark, and in a file that ends in "-refused.out" that io_uring is.
func readMachine(file, text string) []*suite {
	suites := read(text)
	none := func(unmet string) {
		suites = append(suites, &suite{kernel: strings.TrimSuffix(file, ".out"), name: "none", exit: "0", unmet: unmet})
	}
	switch {
	case len(suites) == 0:
		none("no test began: what the kernel said is in the .console file beside " + file)
	case strings.HasSuffix(file, "-refused.out") && !suites[0].refused:
		none("io_uring is not refused there")
	case !ends.MatchString(text):
		none("the machine did not come to its end: packages that are missing here were not tested")
	}
	return suites
}

// read reads the packages' output.
func read(text string) (suites []*suite) {
	var kernel string
	var refused bool
	var s *suite
	var now *test
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		word, rest, marked := mark(line)
		switch {
		case marked && word == "kernel":
			kernel = rest
		case marked && word == "refused":
			if refused = rest == "2"; refused {
				kernel += " (io_uring refused)"
			}
		case marked && word == "package":
			s, now = &suite{kernel: kernel, refused: refused, name: rest}, nil
			suites = append(suites, s)
		case s == nil:
		case marked && word == "exit":
			s.exit = rest
		default:
			now = s.line(line, now)
		}
	}
	return suites
}

// mark takes a line of init.sh's apart.
func mark(line string) (word, rest string, ok bool) {
	line, ok = strings.CutPrefix(line, "== ")
	word, rest, _ = strings.Cut(line, " ")
	return word, rest, ok
}

// line takes a line of the package's output and returns the test that speaks. A
// result that is indented more than its name's depth allows is of a test in a
// child process.
func (s *suite) line(line string, now *test) *test {
	if m := began.FindStringSubmatch(line); m != nil {
		return s.test(m[1])
	}
	if m := ended.FindStringSubmatch(line); m != nil {
		if len(m[1]) <= 4*strings.Count(m[3], "/") {
			s.test(m[3]).result = m[2]
		}
		return now
	}
	if now == nil || now.result == "PASS" || now.result == "SKIP" || line == "FAIL" {
		return now // after its failure comes the panic that it is of
	}
	if m := said.FindStringSubmatch(line); m != nil {
		now.why = m[1]
	}
	if line != "" && (len(now.log) < 20 || strings.HasPrefix(line, "panic: ")) {
		now.log = append(now.log, line)
	}
	return now
}

// test finds a test, or adds it.
func (s *suite) test(name string) *test {
	i := slices.IndexFunc(s.tests, func(t *test) bool { return t.name == name })
	if i < 0 {
		i = len(s.tests)
		s.tests = append(s.tests, &test{name: name})
	}
	return s.tests[i]
}

// count counts tests, without subtests. One that never ended failed.
func (s *suite) count(result string) (n int) {
	for _, t := range s.tests {
		if !strings.Contains(t.name, "/") && cmp.Or(t.result, "FAIL") == result {
			n++
		}
	}
	return n
}

func (s *suite) skipped() (all []*test) {
	for _, t := range s.tests {
		if t.result == "SKIP" {
			all = append(all, t)
		}
	}
	return all
}

// faults lists what is wrong.
func (s *suite) faults() (all []string) {
	for _, t := range s.tests {
		switch {
		case t.result == "FAIL":
			all = append(all, t.said("failed"))
		case t.result == "":
			all = append(all, t.said("hung, or the program ended"))
		case t.result == "SKIP" && s.stale(t.why):
			all = append(all, t.name+" was skipped on a kernel that has what it wants: "+t.why)
		}
	}
	switch {
	case s.unmet != "":
		all = append(all, s.unmet)
	case s.exit == "":
		all = append(all, "the machine went down or hung")
	case s.exit != "0" && len(all) == 0:
		all = append(all, "exit status "+s.exit)
	case len(s.tests) == 0:
		all = append(all, "no test ran: RUN names none, or there is none")
	}
	return all
}

// said is what happened to a test, and what it said.
func (t *test) said(happened string) string {
	return strings.Join(append([]string{t.name + " " + happened}, t.log...), "\n")
}

// stale reports that a reason to skip names a version that the kernel has. Where
// io_uring is refused, what says "older, or refused" is right.
func (s *suite) stale(why string) bool {
	m := before.FindStringSubmatch(why)
	if m == nil && !s.refused {
		m = older.FindStringSubmatch(why)
	}
	if m == nil {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(s.kernel, "%d.%d", &major, &minor); n != 2 {
		return true
	}
	if major == 5 && minor == 10 && m[len(m)-1] != "'s" { // "5.14's madvise" is not of io_uring
		minor = 14 // Debian's 5.10 has the io_uring of 5.15, without the opcodes that are new in that
	}
	x, _ := strconv.Atoi(m[1])
	y, _ := strconv.Atoi(m[2])
	return major > x || major == x && minor >= y
}
