package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const output = `== kernel 6.12.1-cloud
== refused 0
== package ring
=== RUN   TestGood
--- PASS: TestGood (0.01s)
=== RUN   TestBad
    bad_test.go:7: it is bad
--- FAIL: TestBad (0.01s)
=== RUN   TestParts
=== RUN   TestParts/old
    parts_test.go:8: before Linux 6.13
=== RUN   TestParts/of_a/name
=== RUN   TestParts/new
    parts_test.go:9: before Linux 6.12
--- PASS: TestParts (0.01s)
    --- SKIP: TestParts/old (0.00s)
    --- PASS: TestParts/of_a/name (0.00s)
    --- SKIP: TestParts/new (0.00s)
=== RUN   TestChild
    child_test.go:5: refuse: the child was skipped
        === RUN   TestChild
            child_test.go:9: for a reason
        --- FAIL: TestChild (0.00s)
--- SKIP: TestChild (0.05s)
=== RUN   TestHangs
panic: test timed out after 5s
== exit 2
== package leaks
=== RUN   TestGood
--- PASS: TestGood (0.01s)
== exit 1
== package down
=== RUN   TestGood
`

// A terminal's line ends are not part of a line.
func terminal(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// What is wrong is found in what a machine said.
func TestFaults(t *testing.T) {
	suites := read(terminal(output))
	require.Len(t, suites, 3)
	ring := suites[0]
	require.Equal(t, []int{2, 2, 1}, []int{ring.count("PASS"), ring.count("FAIL"), ring.count("SKIP")})
	require.Equal(t, []string{
		"TestBad failed\n    bad_test.go:7: it is bad",
		"TestParts/new was skipped on a kernel that has what it wants: before Linux 6.12",
		"TestHangs hung, or the program ended",
	}, ring.faults())
	require.Equal(t, []string{"exit status 1"}, suites[1].faults())
	require.Equal(t, []string{"TestGood hung, or the program ended", "the machine went down or hung"}, suites[2].faults())
}

// A skip of a test in a child process has the child's reason.
func TestSkips(t *testing.T) {
	var why []string
	for _, skipped := range read(terminal(output))[0].skipped() {
		why = append(why, skipped.name+": "+skipped.why)
	}
	require.Equal(t, []string{"TestParts/old: before Linux 6.13", "TestParts/new: before Linux 6.12", "TestChild: for a reason"}, why)
}

// A reason is stale if the kernel is as new as it names.
func TestStaleReasons(t *testing.T) {
	s := &suite{kernel: "6.12.1"}
	for why, stale := range map[string]bool{
		"before Linux 6.12 there is none":             true,
		"needs Linux 5.13":                            true,
		"before Linux 6.13":                           false,
		"before Linux 7.0":                            false,
		"no time namespace (root, Linux 6.3)":         false,
		"the kernel is older than 6.7, or it refuses": true,
	} {
		require.Equal(t, stale, s.stale(why), why)
	}
	s.refused = true
	require.False(t, s.stale("the kernel is older than 6.7, or it refuses"))
}

// The table counts, and says by its result whether all is well.
func TestReport(t *testing.T) {
	var b strings.Builder
	require.False(t, report(&b, read(output)))
	require.Regexp(t, `6\.12\.1-cloud +ring +2 +2 +1\n`, b.String())
	require.Contains(t, b.String(), "skipped: 6.12.1-cloud: ring: before Linux 6.13: TestParts\n")
	good := "== kernel 6.1\n== package p\n=== RUN   TestGood\n--- PASS: TestGood (0s)\n== exit 0\n"
	require.True(t, report(&b, read(good)))
}
