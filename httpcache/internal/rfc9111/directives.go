package rfc9111

import (
	"iter"
	"strconv"
	"strings"
	"time"
)

// maxSeconds is the largest number of seconds, 68 years. Larger ones count as this.
const (
	maxSeconds = 1 << 31
	anyAge     = "2147483648"
)

// Directives are the directives of Cache-Control that a cache obeys, in requests and responses.
type Directives struct {
	NoStore, NoCache, Private bool

	Public                          bool // may be stored although its status, or credentials, would forbid it
	MustUnderstand                  bool // may be stored only by a cache that knows the status
	MustRevalidate, ProxyRevalidate bool // must not be used when stale
	OnlyIfCached                    bool // in requests: may be answered by the cache only

	MaxAge, SMaxAge                    Delta
	StaleWhileRevalidate, StaleIfError Delta // the second also in requests
	MinFresh                           Delta // in requests: for how long it must stay fresh
	MaxStale                           Delta // in requests: for how long it may be stale
}

// A Delta is the time of a directive, if it was given.
type Delta struct {
	Given bool
	For   time.Duration // whole seconds, from 0 to 2^31
}

// Parse returns the directives of Cache-Control fields.
func Parse(fields []string) Directives {
	var d Directives
	for _, field := range fields {
		for part := range split(field) {
			name, value, given := strings.Cut(part, "=")
			name = strings.ToLower(strings.Trim(name, " \t\"'"))
			if name == "max-stale" && !given {
				value = anyAge
			}
			d.add(name, value)
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
	case "public":
		d.Public = true
	case "must-understand":
		d.MustUnderstand = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "min-fresh":
		d.MinFresh.most(value)
	case "max-stale":
		d.MaxStale.least(value)
	default:
		if delta := d.delta(name); delta != nil {
			delta.least(value)
		}
	}
}

// delta returns the field of a directive that is a time, or nil.
func (d *Directives) delta(name string) *Delta {
	switch name {
	case "max-age":
		return &d.MaxAge
	case "s-maxage":
		return &d.SMaxAge
	case "stale-while-revalidate":
		return &d.StaleWhileRevalidate
	case "stale-if-error":
		return &d.StaleIfError
	}
	return nil
}

// ParseTargeted returns the directives of a targeted field (RFC 9213), which is a dictionary.
// It returns false if the field has to be ignored: because it is empty, its syntax is
// invalid, or a directive has a value of the wrong type.
func ParseTargeted(fields []string) (Directives, bool) {
	var d Directives
	all, ok := dictionary(fields)
	if !ok || len(all) == 0 {
		return d, false
	}
	for name, v := range all {
		if !d.addTargeted(name, v) {
			return Directives{}, false
		}
	}
	return d, true
}

// addTargeted adds a directive. It reports whether v has the right type, if the directive is
// known.
func (d *Directives) addTargeted(name string, v value) bool {
	if delta := d.delta(name); delta != nil {
		*delta = Delta{true, time.Duration(min(max(0, v.n), maxSeconds)) * time.Second}
		return v.kind == integer
	}
	switch name {
	case "no-cache", "private": // may have a list of fields
		if v.kind == text {
			v = value{boolean, 1}
		}
	case "no-store", "public", "must-understand", "must-revalidate", "proxy-revalidate":
	default:
		return true
	}
	if v.n == 1 {
		d.add(name, "")
	}
	return v.kind == boolean
}

// List returns the directives of responses as text, such as "no-cache" and "max-age=60".
func (d *Directives) List() []string {
	var all []string
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"no-store", d.NoStore}, {"private", d.Private}, {"no-cache", d.NoCache}, {"public", d.Public},
		{"must-understand", d.MustUnderstand}, {"must-revalidate", d.MustRevalidate}, {"proxy-revalidate", d.ProxyRevalidate},
	} {
		if flag.set {
			all = append(all, flag.name)
		}
	}
	for _, name := range []string{"s-maxage", "max-age", "stale-while-revalidate", "stale-if-error"} {
		if delta := d.delta(name); delta.Given {
			all = append(all, name+"="+strconv.FormatInt(int64(delta.For/time.Second), 10))
		}
	}
	return all
}

// least adds a directive of which the smallest value counts. An invalid one counts as zero.
func (d *Delta) least(value string) {
	span, ok := seconds(value)
	if !ok {
		span = 0
	}
	if !d.Given || span < d.For {
		*d = Delta{true, span}
	}
}

// most adds a directive of which the largest value counts. An invalid one counts as maxSeconds.
func (d *Delta) most(value string) {
	span, ok := seconds(value)
	if !ok {
		span = maxSeconds * time.Second
	}
	*d = Delta{true, max(d.For, span)}
}

// seconds parses a number of seconds, which may be quoted.
func seconds(s string) (time.Duration, bool) {
	s = strings.Trim(s, " \t")
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return digits(s)
}

// digits parses a number of seconds.
func digits(s string) (time.Duration, bool) {
	n := int64(0)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxSeconds)
	}
	return time.Duration(n) * time.Second, s != ""
}

// split returns the parts of a field between commas, and between semicolons, which some
// origins use instead. It does not split quoted values. A quote that is never closed, or does
// not begin a value, is ignored, so that the directives after it count.
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

// closing returns the index of the quote that closes the one at open, or zero.
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

// List returns the elements of a field that is a list of names, such as Vary.
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
