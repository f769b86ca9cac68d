package httpcache

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// Responses of a URL are told apart by the request fields that their Vary
// names (RFC 9111, 4.1). Which those are is known when the first response is
// there. So the place of a URL holds either a response that has no Vary, or a
// rule: the names of all fields that its responses have named. The place of such
// a response is that of its URL with the values of these fields.
//
//	{GET /page}                           rule: Accept-Encoding
//	{GET /page, Accept-Encoding: gzip}    response
//
// What is at a place suits every request that leads there. What a fetch for a
// URL brings suits its leader, and those that waited have to look: e.suits.

// A rule tells the responses of one URL apart.
type rule struct {
	names []string // canonical, sorted

	mu     sync.Mutex
	places []string // pageKey.vary of the last responses, the oldest first
}

const (
	maxNames    = 16 // in a rule; what depends on more is not shared
	maxVariants = 64 // of a URL, at least that are kept; an older one is dropped
)

// add notes that a response is at a place, and returns the place that is to be
// given up for it, or "".
func (u *rule) add(place string) (old string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if slices.Contains(u.places, place) {
		return ""
	}
	if u.places = append(u.places, place); len(u.places) > maxVariants {
		old = u.places[0]
		u.places = slices.Delete(u.places, 0, 1)
	}
	return old
}

// weight is about how many bytes of memory the rule takes at most, with all its places.
func (u *rule) weight() int64 {
	if onlyCodings(u.names) {
		return int64(len(codingPlaces)) * 16 // which all rules share
	}
	return maxVariants * (16 + maxSelected)
}

// knows reports whether all names are in the rule.
func (u *rule) knows(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(u.names, name) })
}

// with returns a rule that has names as well.
func (u *rule) with(names []string) *rule {
	names = slices.Concat(u.names, names)
	slices.Sort(names)
	return &rule{names: slices.Compact(names)}
}

// varyOf returns which request fields a response with the header h depends on,
// and false if no other request can be known to have the same answer. A coding
// depends on Accept-Encoding even if Vary does not say so: who does not accept
// it could not read the body.
func varyOf(h http.Header) (names []string, ok bool) {
	for _, name := range rfc9111.List(h["Vary"]) {
		names = append(names, http.CanonicalHeaderKey(name))
	}
	if len(h["Content-Encoding"]) > 0 {
		names = append(names, "Accept-Encoding")
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names, len(names) <= maxNames && !slices.ContainsFunc(names, isPersonalField)
}

// isPersonalField reports whether no two users share a value of a field; or that
// is not known, because it is written here, with the address of the user.
func isPersonalField(name string) bool {
	switch name {
	case "*", "Forwarded", "X-Forwarded-For", "X-Real-Ip":
		return true
	}
	return false
}

// maxSelected is how long what selecting returns may be, as it is there for each variant of
// a page. What would be longer is a hash.
const maxSelected = 64

// selecting returns the values that h has of the fields, in a form in which
// values that mean the same are the same.
func selecting(names []string, h http.Header) string {
	if onlyCodings(names) {
		return codingPlaces[codingsOf(h["Accept-Encoding"])] // nearly always
	}
	var b []byte
	for _, name := range names {
		value := normalized(name, h[name])
		b = append(b, name...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(value)), 10) // no value is taken for the next field
		b = append(b, ':')
		b = append(b, value...)
		b = append(b, '\n')
	}
	if len(b) > maxSelected {
		return fmt.Sprintf("%x", sha256.Sum256(b)) // which nobody can choose to be that of other values
	}
	return string(b)
}

func onlyCodings(names []string) bool { return len(names) == 1 && names[0] == "Accept-Encoding" }

// normalized returns the lines of a field as one. In the fields that are lists
// of what their sender accepts, neither case nor order means anything (RFC 9110,
// 12.5); in others only white space around commas does not.
func normalized(name string, lines []string) string {
	switch name {
	case "Accept-Encoding":
		return codingsOf(lines).String()
	case "Accept", "Accept-Charset", "Accept-Language":
		list := elements(lines)
		for i := range list {
			list[i] = strings.ToLower(list[i])
		}
		slices.Sort(list)
		return strings.Join(slices.Compact(list), ",")
	case "User-Agent": // no list, though it has commas
		return strings.Join(lines, ", ")
	}
	if len(lines) == 0 {
		return ""
	}
	return "=" + strings.Join(elements(lines), ",") // a field without a value is a field
}

// elements splits lines at commas that are not quoted.
func elements(lines []string) []string {
	if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, `"`) }) {
		return []string{strings.TrimSpace(strings.Join(lines, ","))}
	}
	return rfc9111.List(lines)
}

// codings are content codings that a user accepts. Others do not exist: a
// shared request asks for none of them.
type codings uint8

var codingNames = [...]string{"gzip", "br", "zstd", "identity"}

const identity = codings(1 << 3)

// codingPlaces are what selecting returns for Accept-Encoding alone.
var codingPlaces = func() (all [1 << len(codingNames)]string) {
	for c := range all {
		all[c] = "Accept-Encoding " + codings(c).String() + "\n"
	}
	return all
}()

// String returns the value of Accept-Encoding that asks for c.
func (c codings) String() string { return codingValues[c] }

var codingValues = func() (all [1 << len(codingNames)]string) {
	for c := range all {
		var list []string
		for i, name := range codingNames {
			if c&(1<<i) != 0 && (name != "identity" || c == int(identity)) {
				list = append(list, name)
			}
		}
		if codings(c)&identity == 0 {
			list = append(list, "identity;q=0")
		}
		all[c] = strings.Join(list, ", ")
	}
	return all
}()

// codingsOf reads Accept-Encoding (RFC 9110, 12.5.3). Who says nothing gets
// what everyone can read.
func codingsOf(lines []string) codings {
	accepted, named, others := codings(0), codings(0), false
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(token, ";")
			name, refused := strings.TrimSpace(name), isZero(weight)
			if name == "*" {
				others = !refused
				if refused {
					named |= identity // which is not accepted then, unless it is named itself
				}
				continue
			}
			c := codingOf(name)
			named |= c
			if !refused {
				accepted |= c
			}
		}
	}
	if others {
		accepted |= ^named & (1<<len(codingNames) - 1)
	}
	return accepted | identity&^named
}

func codingOf(name string) codings {
	if strings.EqualFold(name, "x-gzip") {
		return 1
	}
	for i, known := range codingNames {
		if strings.EqualFold(name, known) {
			return 1 << i
		}
	}
	return 0
}

// isZero reports whether the weight in a parameter like "q=0.0" is zero.
func isZero(parameter string) bool {
	name, value, ok := strings.Cut(strings.TrimSpace(parameter), "=")
	value = strings.TrimSpace(value)
	return ok && strings.EqualFold(strings.TrimSpace(name), "q") && strings.HasPrefix(value, "0") && strings.Trim(value, "0.") == ""
}

// learn returns the place of next, a response of a URL to a request with the
// header h. All later requests for the URL are told apart by what next depends on.
func (p *pages) learn(url pageKey, next *response, h http.Header) pageKey {
	names := next.vary
	if len(names) == 0 {
		return url
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	u := &rule{}
	e, _ := p.Peek(url)
	if e != nil && e.rule != nil {
		u = e.rule
	}
	if !u.knows(names) {
		u = u.with(names)
		if len(u.names) > maxNames {
			u = (&rule{}).with(names)
		}
		if e != nil {
			e.discardFor(next)
		}
		p.Put(url, &response{rule: u, home: url})
	}
	place := url
	place.vary = selecting(u.names, h)
	if old := u.add(place.vary); old != "" {
		gone := url
		gone.vary = old
		if e, ok := p.Peek(gone); ok {
			e.discardFor(next)
		}
		p.Invalidate(gone)
	}
	return place
}
