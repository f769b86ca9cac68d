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
		"TestHangs hung, or the program ended\npanic: test timed out after 5s",
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
		"before Linux 5.14's madvise there is none":   true,
		"the kernel is older than 6.7, or it refuses": true,
	} {
		require.Equal(t, stale, s.stale(why), why)
	}
	s.refused = true
	require.False(t, s.stale("the kernel is older than 6.7, or it refuses"))
	require.True(t, (&suite{kernel: "unknown"}).stale("before Linux 6.13"))
}

// Debian's 5.10 has the io_uring of 5.15 but for its opcodes, and nothing else of it.
func TestStaleReasonsOf510(t *testing.T) {
	s := &suite{kernel: "5.10.0-32-cloud-amd64"}
	require.True(t, s.stale("before Linux 5.13"))
	require.True(t, s.stale("before Linux 5.14"))
	require.False(t, s.stale("before Linux 5.15"))
	require.False(t, s.stale("before Linux 5.14's madvise: invalid argument"))
	require.True(t, s.stale("before Linux 5.10's madvise"))
}

// A machine must come to its end, and what refuses io_uring must have refused it.
func TestMachine(t *testing.T) {
	text := "== kernel 6.12\n== refused 0\n== package p\n=== RUN   TestGood\n--- PASS: TestGood (0s)\n== exit 0\n"
	wrong := func(file, text string) (all []string) {
		for _, s := range readMachine(file, terminal(text)) {
			all = append(all, s.faults()...)
		}
		return all
	}
	require.Empty(t, wrong("a.out", text+"== end\n"))
	require.Len(t, wrong("a.out", text), 1)
	require.Len(t, wrong("a.out", "no kernel"), 1)
	require.Len(t, wrong("a-refused.out", text+"== end\n"), 1)
	require.Empty(t, wrong("a-refused.out", strings.Replace(text, "refused 0", "refused 2", 1)+"== end\n"))
}

// The panic that ended a test is told, also if it comes after the result.
func TestPanicIsTold(t *testing.T) {
	for _, text := range []string{
		"--- FAIL: TestBad (0s)\npanic: oops [recovered]\n",
		strings.Repeat("noise\n", 30) + "panic: oops [recovered]\n",
	} {
		s := read("== kernel 6.1\n== package p\n=== RUN   TestBad\n" + text + "== exit 2\n")[0]
		require.Len(t, s.faults(), 1)
		require.Contains(t, s.faults()[0], "panic: oops")
	}
}

// The table counts, and says by its result whether all is well.
func TestReport(t *testing.T) {
	var b strings.Builder
	require.False(t, report(&b, read(output)))
	require.Regexp(t, `6\.12\.1-cloud +ring +2 +2 +1\n`, b.String())
	require.Contains(t, b.String(), "skipped: 6.12.1-cloud: ring: before Linux N: TestParts (6.13, 6.12)\n")
	require.Contains(t, b.String(), "skipped: 6.12.1-cloud: ring: for a reason: TestChild\n")
	good := "== kernel 6.1\n== package p\n=== RUN   TestGood\n--- PASS: TestGood (0s)\n== exit 0\n"
	require.True(t, report(&b, read(good)))
}
