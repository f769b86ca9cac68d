// Command kernels prints a table of what tests said on several kernels: see
// run.sh. It exits with 1 if a test failed or hung, or was skipped for want of
// something that the kernel has.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	var suites []*suite
	for _, name := range os.Args[1:] {
		b, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "kernels:", err)
			os.Exit(2)
		}
		suites = append(suites, readMachine(filepath.Base(name), string(b))...)
	}
	if !report(os.Stdout, suites) {
		os.Exit(1)
	}
}

// report prints the table, and what is wrong and was skipped below it. It reports
// whether nothing is wrong.
func report(w io.Writer, suites []*suite) (good bool) {
	good = true
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nkernel\tpackage\tpassed\tfailed\tskipped")
	for _, s := range suites {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\n", s.kernel, s.name, s.count("PASS"), s.count("FAIL"), s.count("SKIP"))
	}
	t.Flush()
	for _, s := range suites {
		for _, fault := range s.faults() {
			good = false
			fmt.Fprintf(w, "\nwrong: %s: %s: %s", s.kernel, s.name, fault)
		}
	}
	if !good {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	for _, s := range suites {
		reportSkips(w, s)
	}
	return good
}

// reportSkips prints the reasons, and after each what was skipped for it; of
// subtests, the test. Reasons that differ in numbers only are one, and the numbers
// stand behind what they are about.
func reportSkips(w io.Writer, s *suite) {
	var reasons []*reason
	for _, t := range s.skipped() {
		text := numbers.ReplaceAllString(t.why, "N")
		i := slices.IndexFunc(reasons, func(r *reason) bool { return r.text == text })
		if i < 0 {
			i = len(reasons)
			reasons = append(reasons, &reason{text: text, first: t.why})
		}
		reasons[i].add(t)
	}
	for _, r := range reasons {
		fmt.Fprintf(w, "skipped: %s: %s: %s\n", s.kernel, s.name, r)
	}
}

// numbers are versions, opcodes, bits and the like.
var numbers = regexp.MustCompile(`0x[0-9a-f]+|\d+(\.\d+)*`)

// A reason is why tests were skipped.
type reason struct {
	text, first string // with N for numbers; as the first test said
	differ      bool   // the numbers do
	tests       []string
	whys        [][]string // of each test, the numbers
}

func (r *reason) add(t *test) {
	name, _, _ := strings.Cut(t.name, "/")
	why := strings.Join(numbers.FindAllString(t.why, -1), " ")
	r.differ = r.differ || t.why != r.first
	i := slices.Index(r.tests, name)
	if i < 0 {
		i = len(r.tests)
		r.tests, r.whys = append(r.tests, name), append(r.whys, nil)
	}
	if !slices.Contains(r.whys[i], why) {
		r.whys[i] = append(r.whys[i], why)
	}
}

func (r *reason) String() string {
	if !r.differ {
		return r.first + ": " + strings.Join(r.tests, ", ")
	}
	var all []string
	for i, name := range r.tests {
		all = append(all, name+" ("+strings.Join(r.whys[i], ", ")+")")
	}
	return r.text + ": " + strings.Join(all, ", ")
}
