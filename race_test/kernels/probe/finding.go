package main

import (
	"fmt"
	"strings"
)

// An answer is what a probe says of a kernel.
type answer string

const (
	yes     answer = "yes"
	no      answer = "no"
	unclear answer = "?"
)

// notBuilt is how a kernel says that it was built without what its version has.
const notBuilt = "EOPNOTSUPP: not built"

// A finding is an answer, and what it was told by.
type finding struct {
	answer answer
	how    string
}

// A line is what a probe found, as it is printed and recorded.
type line struct {
	kind, name string
	finding
}

func (l line) String() string {
	return strings.Join([]string{l.kind, l.name, string(l.answer), l.how}, "\t")
}

// A record is what all probes found on one kernel.
type record struct {
	release, date string
	lines         []line
}

// version is the first two numbers of the release.
func (r *record) version() version { return versionOf(r.release) }

func (r *record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# kernel\t%s\t%s\n", r.release, r.date)
	for _, l := range r.lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// find returns what was found of a name.
func (r *record) find(kind, name string) (finding, bool) {
	for _, l := range r.lines {
		if l.kind == kind && l.name == name {
			return l.finding, true
		}
	}
	return finding{}, false
}

// read takes the records out of what machines said.
func read(text string) (records []*record) {
	var r *record
	for s := range strings.Lines(text) {
		part := strings.Split(strings.TrimRight(s, "\r\n"), "\t")
		switch {
		case len(part) == 3 && part[0] == "# kernel":
			r = &record{release: part[1], date: part[2]}
			records = append(records, r)
		case len(part) == 4 && r != nil:
			r.lines = append(r.lines, line{part[0], part[1], finding{answer(part[2]), part[3]}})
		}
	}
	return records
}

// A version is that of a kernel.
type version struct{ major, minor int }

func versionOf(s string) (v version) {
	fmt.Sscanf(s, "%d.%d", &v.major, &v.minor)
	return v
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) compare(w version) int {
	if v.major != w.major {
		return v.major - w.major
	}
	return v.minor - w.minor
}
