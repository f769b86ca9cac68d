// Command kernels prints a table of what tests said on several kernels: see
// run.sh. It exits with 1 if a test failed or hung, or was skipped for want of
// something that the kernel has.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		some := read(string(b))
		if len(some) == 0 {
			some = []*suite{{kernel: filepath.Base(name), name: "none"}}
		}
		suites = append(suites, some...)
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
	fmt.Fprintln(w)
	for _, s := range suites {
		reportSkips(w, s)
	}
	return good
}

// reportSkips prints the reasons and what was skipped for each; of subtests, the
// test.
func reportSkips(w io.Writer, s *suite) {
	tests := map[string][]string{}
	var reasons []string
	for _, t := range s.skipped() {
		name, _, _ := strings.Cut(t.name, "/")
		if tests[t.why] == nil {
			reasons = append(reasons, t.why)
		}
		if !slices.Contains(tests[t.why], name) {
			tests[t.why] = append(tests[t.why], name)
		}
	}
	for _, why := range reasons {
		fmt.Fprintf(w, "skipped: %s: %s: %s: %s\n", s.kernel, s.name, why, strings.Join(tests[why], ", "))
	}
}
