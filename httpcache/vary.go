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

// The variants of a URL differ by the request fields that their Vary names (RFC 9111, 4.1),
// which are known when the first response is there. So the key of a URL holds either a
// response without Vary, or a rule: the names of all fields that the responses of the URL
// have named. The key of a variant is that of its URL with the values of these fields. A
// place is a key, of a URL or of a variant.
//
//	{GET /page}                           rule: Accept-Encoding
//	{GET /page, Accept-Encoding: gzip}    response
//
// A kept response suits every request that has its key. A fetched response suits the request
// that started the fetch; those that waited for it have to check by response.suits.

// A rule names the request fields by which the responses of a URL vary.
type rule struct {
	names []string // canonical, sorted

	mu     sync.Mutex
	places []string // pageKey.vary of the last responses, the oldest first
}

const (
	maxNames    = 16 // the maximum in a rule; a response that varies by more is not shared
	maxVariants = 64 // the maximum of a URL; the oldest is removed for a new one
)

// add notes the place of a variant, and returns that of the variant to remove for it, or "".
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

// weight returns about how many bytes of memory the rule takes at most, with all its places.
func (u *rule) weight() int64 {
	if onlyCodings(u.names) {
		return int64(len(codingPlaces)) * 16 // which all rules share
	}
	return maxVariants * (16 + maxSelected)
}

// covers reports whether all names are in the rule.
func (u *rule) covers(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(u.names, name) })
}

// with returns a rule that also has names.
func (u *rule) with(names []string) *rule {
	names = slices.Concat(u.names, names)
	slices.Sort(names)
	return &rule{names: slices.Compact(names)}
}

// varyOf returns the request fields by which a response with the header h varies. It returns
// false if it is not known whether any other request would get the same response. A response
// with a coding varies by Accept-Encoding even if Vary does not name it, because a client
// that does not accept the coding cannot read the body.
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

// isPersonalField reports whether a field may have a different value for each client. The
// fields with the address of the client are set by the proxy, so their values are not known.
func isPersonalField(name string) bool {
	switch name {
	case "*", "Forwarded", "X-Forwarded-For", "X-Real-Ip":
		return true
	}
	return false
}

// maxSelected is the length of the longest result of selecting that is kept for each variant
// of a page. A longer one is replaced by its hash.
const maxSelected = 64

// selecting returns the values of the named fields of h, in a form in which equivalent values
// are equal.
func selecting(names []string, h http.Header) string {
	if onlyCodings(names) {
		return codingPlaces[codingsOf(h["Accept-Encoding"])] // the most common case
	}
	var b []byte
	for _, name := range names {
		value := normalized(name, h[name])
		b = append(b, name...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(value)), 10) // the length, so that a value cannot contain another field
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

// normalized returns the lines of a field as one value. Case and order are ignored in fields
// that list what the client accepts (RFC 9110, 12.5). In other fields only the white space
// around commas is.
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
	case "User-Agent": // not a list, although it may have commas
		return strings.Join(lines, ", ")
	}
	if len(lines) == 0 {
		return ""
	}
	return "=" + strings.Join(elements(lines), ",") // differs from an absent field even if empty
}

// elements splits lines at commas that are not quoted.
func elements(lines []string) []string {
	if slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, `"`) }) {
		return []string{strings.TrimSpace(strings.Join(lines, ","))}
	}
	return rfc9111.List(lines)
}

// codings are the content codings that a client accepts. Only these four are ever asked for.
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

// codingsOf parses Accept-Encoding (RFC 9110, 12.5.3). Without the field, only identity is
// accepted.
func codingsOf(lines []string) codings {
	accepted, named, others := codings(0), codings(0), false
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(token, ";")
			name, refused := strings.TrimSpace(name), isZero(weight)
			if name == "*" {
				others = !refused
				if refused {
					named |= identity // not accepted then, unless it is named too
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

// addVariant sets the place of next, a response to a request with the header h, and stores it
// there. If the place is key, the load of key stores it instead. addVariant also adds names
// to the rule of the URL. A request that finds the new rule finds next as well, so that it
// does not ask the origin again.
func (p *pages) addVariant(key pageKey, next *response, names []string, h http.Header) {
	p.changing.Lock()
	defer p.changing.Unlock()
	url := key.url()
	e, _ := p.Peek(url)
	u, isNew := ruleFor(e, names)
	next.home = url
	if u != nil {
		next.home.vary = selecting(u.names, h)
		p.dropVariant(url, u.add(next.home.vary), next)
	}
	if next.home != key {
		p.store(next.home, next)
	}
	if isNew {
		if e != nil {
			e.discardFor(next)
		}
		p.Put(url, &response{rule: u, home: url})
	}
}

// ruleFor returns the rule of a URL, at whose place e is kept, with names added. It returns
// nil if there are no names, and whether the rule has changed.
func ruleFor(e *response, names []string) (u *rule, isNew bool) {
	if len(names) == 0 {
		return nil, false
	}
	u = &rule{}
	if e != nil && e.rule != nil {
		u = e.rule
	}
	if u.covers(names) {
		return u, false
	}
	if u = u.with(names); len(u.names) > maxNames {
		u = (&rule{}).with(names)
	}
	return u, true
}

// dropVariant removes the response of url at a place, which may be "". The caller holds
// changing.
func (p *pages) dropVariant(url pageKey, place string, next *response) {
	if place == "" {
		return
	}
	url.vary = place
	if e, ok := p.Peek(url); ok {
		e.discardFor(next)
	}
	p.Invalidate(url)
}
