package httpcache

import (
	"iter"
	"strings"
	"time"
)

// maxSeconds is what larger numbers count as: 68 years.
const maxSeconds = 1 << 31

// Directives are those of Cache-Control fields that mean something to a shared
// cache, in a request or a response.
type Directives struct {
	NoStore, NoCache, Private bool

	MustRevalidate bool // or proxy-revalidate: not to be used when stale
	OnlyIfCached   bool // in requests: answer from the cache or not at all

	MaxAge, SMaxAge                    Delta
	StaleWhileRevalidate, StaleIfError Delta
	MinFresh                           Delta // in requests: for how long it must stay fresh
}

// A Delta is a time span that a directive gave, or did not.
type Delta struct {
	Given bool
	For   time.Duration // whole seconds, from 0 to 2^31
}

// Parse reads the values of Cache-Control fields.
func Parse(fields []string) Directives {
	var d Directives
	for _, field := range fields {
		for part := range split(field) {
			name, value, _ := strings.Cut(part, "=")
			d.add(strings.ToLower(strings.Trim(name, " \t\"'")), value)
		}
	}
	return d
}

func (d *Directives) add(name, value string) {
	switch name {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		d.NoCache = true
	case "private":
		d.Private = true
	case "must-revalidate", "proxy-revalidate":
		d.MustRevalidate = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "max-age":
		d.MaxAge.least(value)
	case "s-maxage":
		d.SMaxAge.least(value)
	case "stale-while-revalidate":
		d.StaleWhileRevalidate.least(value)
	case "stale-if-error":
		d.StaleIfError.least(value)
	case "min-fresh":
		d.MinFresh.most(value)
	}
}

// least takes a directive in of which the smaller value is the cautious one.
func (d *Delta) least(value string) {
	span, ok := seconds(value)
	if !ok {
		span = 0
	}
	if !d.Given || span < d.For {
		*d = Delta{true, span}
	}
}

// most takes a directive in of which the larger value is the cautious one.
func (d *Delta) most(value string) {
	span, ok := seconds(value)
	if !ok {
		span = maxSeconds * time.Second
	}
	*d = Delta{true, max(d.For, span)}
}

// seconds reads a number of seconds, quoted or not: digits and nothing else.
func seconds(s string) (time.Duration, bool) {
	s = strings.Trim(s, " \t")
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	n := int64(0)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxSeconds)
	}
	return time.Duration(n) * time.Second, s != ""
}

// split cuts a field at its commas, and at semicolons, which some take for
// commas; but not at those in a quoted value. Where a
// quote is never closed, or comes where no value begins, it means nothing: what
// looks like a directive behind it counts as one.
func split(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quotes := 0, true
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '"' && quotes && strings.HasSuffix(strings.TrimRight(s[start:i], " \t"), "="):
				if end := closing(s, i); end > 0 {
					i = end
				} else {
					quotes = false
				}
			case s[i] == ',' || s[i] == ';':
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}

// closing returns where the quote at open is closed, or 0.
func closing(s string, open int) int {
	for i := open + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return 0
}

// List splits the values of a field that is a list of names, like Vary.
func List(fields []string) []string {
	var all []string
	for _, field := range fields {
		for name := range strings.SplitSeq(field, ",") {
			if name = strings.TrimSpace(name); name != "" {
				all = append(all, name)
			}
		}
	}
	return all
}
