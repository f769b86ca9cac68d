package httpcache

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
)

// quote sets x.Details. e was made of a response with the header h.
func (c *Cache) quote(x *Explanation, h http.Header, e *response) {
	say := func(field, value, means string) { x.Details = append(x.Details, Detail{field, value, means}) }
	field, says := c.rules.Holding(h)
	for _, directive := range says.List() {
		name, _, _ := strings.Cut(directive, "=")
		say(field, directive, c.meaning(name, x, e))
	}
	for _, name := range append([]string{"Cache-Control"}, c.Targeted...) {
		switch {
		case name == field || len(h[name]) == 0:
		case c.Private:
			say(name, strings.Join(h[name], ", "), forOthers)
		case field == "Cache-Control":
			say(name, strings.Join(h[name], ", "), "ignored: broken")
		default:
			say(name, strings.Join(h[name], ", "), "ignored for "+field)
		}
	}
	for _, name := range []string{"Expires", "Age", "Date", "Last-Modified", "Etag", "Vary"} {
		if len(h[name]) > 0 {
			say(strings.Replace(name, "Etag", "ETag", 1), strings.Join(h[name], ", "), x.use(name, field))
		}
	}
	for _, line := range h["Set-Cookie"] {
		name, _, _ := strings.Cut(line, "=")
		say("Set-Cookie", name, c.useOfCookies(h))
	}
}

// Meanings of more than one field or directive.
const (
	forNobody = "not shared, not kept"
	forOthers = "ignored: for shared caches"
	toAsk     = "to ask whether it still holds"
)

// meaning returns what a directive means that was read.
func (c *Cache) meaning(name string, x *Explanation, e *response) string {
	switch name {
	case "s-maxage", "proxy-revalidate":
		if c.Private {
			return forOthers
		}
	case "private":
		if c.Private {
			return "ignored: one user's cache"
		}
		return forNobody
	case "no-store":
		if !e.policy.Personal {
			return "ignored for must-understand"
		}
		return forNobody
	}
	return x.meaning(name)
}

func (x *Explanation) meaning(name string) string {
	switch name {
	case x.Rule:
		if name == "no-cache" {
			return "the origin is asked each time"
		}
		return "fresh until this age"
	case "max-age", "s-maxage":
		return "ignored for " + x.Rule
	case "public":
		return "kept whatever its status"
	case "must-understand":
		return "kept if its status is known"
	case "must-revalidate", "proxy-revalidate":
		return "not used stale"
	}
	switch {
	case x.MustRevalidate:
		return "ignored: not used stale"
	case name == "stale-if-error":
		return "used stale if the origin fails"
	}
	return "used stale while asking"
}

// use returns what a field without directives is used for. holds names the field whose
// directives are obeyed.
func (x *Explanation) use(name, holds string) string {
	switch name {
	case "Expires":
		switch {
		case x.Rule == "Expires" && x.Fresh == 0:
			return "stale"
		case x.Rule == "Expires":
			return "fresh until then"
		case holds != "Cache-Control":
			return "ignored for " + holds
		}
		return "ignored for " + x.Rule
	case "Age", "Date":
		return "age when received " + brief(x.Age)
	case "Last-Modified":
		if x.Rule == "Last-Modified" {
			return "fresh for a tenth of its age"
		}
		return toAsk
	case "Etag":
		return toAsk
	}
	if x.NotShared == "Vary" {
		return forNobody
	}
	return "kept for each value of these"
}

func (c *Cache) useOfCookies(h http.Header) string {
	switch {
	case c.Private:
		return "kept: one user's cache"
	case len(c.withoutSetCookies(h)["Set-Cookie"]) == 0:
		return "removed: IgnoreSetCookies"
	}
	return forNobody
}

// String returns x as text: a table of Details, and one of the other fields. Lines have at
// most 80 characters, except for that with the URL.
func (x Explanation) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "status\t%d %s\n", x.Status, http.StatusText(x.Status))
	for _, s := range x.Details {
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(s.Field, 17), printable(s.Value, 29), s.Means)
	}
	w.Flush()
	b.WriteByte('\n')
	for _, row := range x.rows() {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	w.Flush()
	return b.String()
}

// printable returns at most n printable characters of s.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > n {
		s = s[:n-3] + "..."
	}
	return s
}

// rows returns the names and values of the second table.
func (x *Explanation) rows() [][2]string {
	return [][2]string{
		{"shared", yes(x.Shared, "", x.NotShared)},
		{"kept", yes(x.Kept > 0, "for "+brief(x.Kept)+" at most", x.NotKept)},
		{"age", brief(x.Age) + " when received"},
		{"fresh", yes(x.Fresh > 0, "for "+brief(x.Fresh)+", by "+x.Rule, x.whyStale())},
		{"while asking", yes(x.StaleWhileRevalidate > 0, "stale for "+brief(x.StaleWhileRevalidate)+", by stale-while-revalidate", "")},
		{"after failures", yes(x.StaleIfError > 0, "stale for "+brief(x.StaleIfError)+", by stale-if-error", "")},
		{"validated", yes(x.Validated, "once it is stale", "")},
		{"key", x.Method + " " + x.Scheme + "://" + x.Host + x.URI},
		{"and fields", list(x.Vary)},
		{"and cookies", list(x.Cookies)},
	}
}

func (x *Explanation) whyStale() string {
	if x.Rule == "" {
		return "nothing says that it is"
	}
	return "by " + x.Rule
}

func yes(is bool, how, not string) string {
	answer := "no: " + not
	if is {
		answer = "yes: " + how
	}
	return strings.TrimSuffix(answer, ": ")
}

// brief formats d, rounded to a second if it is a minute or more, else to a millisecond.
func brief(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return printable(strings.Join(names, ", "), 60)
}
