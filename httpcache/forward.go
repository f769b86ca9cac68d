package httpcache

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// received returns r without the fields that its Connection names, which are for one hop. A
// client cannot remove a field that is for all recipients in this way. Nor can it upgrade to
// another version of HTTP or to TLS, in which requests would reach the origin unseen.
func received(r *http.Request) *http.Request {
	options := rfc9111.List(r.Header["Connection"])
	options = slices.DeleteFunc(options, func(o string) bool {
		return strings.EqualFold(o, "close") || strings.EqualFold(o, "keep-alive")
	})
	if len(options) == 0 {
		return r
	}
	r = r.WithContext(r.Context())
	r.Header = maps.Clone(r.Header)
	for _, name := range options {
		if name = textproto.CanonicalMIMEHeaderKey(name); !isForAll(name) {
			delete(r.Header, name)
		}
	}
	delete(r.Header, "Connection")
	if !listed(options, "Upgrade") || slices.ContainsFunc(rfc9111.List(r.Header["Upgrade"]), isHTTP) {
		delete(r.Header, "Upgrade")
	} else {
		r.Header["Connection"] = []string{"Upgrade"}
	}
	return r
}

// isForProxies reports whether r may be for one of the proxies on its way (RFC 9110, 7.6.2).
func isForProxies(r *http.Request) bool {
	return r.Method == http.MethodOptions || r.Method == http.MethodTrace
}

// hopsOf returns over how many proxies r may still go by its Max-Forwards, -1 if that is none.
func hopsOf(r *http.Request) int64 {
	fields := r.Header["Max-Forwards"]
	if len(fields) != 1 || fields[0] == "" || strings.Trim(fields[0], "0123456789") != "" {
		return -1
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// isForThisProxy reports whether r must not go on to the origin.
func isForThisProxy(r *http.Request) bool { return isForProxies(r) && hopsOf(r) == 0 }

// oneHopLess returns r as it goes on, if it counts the proxies on its way.
func oneHopLess(r *http.Request) *http.Request {
	n := hopsOf(r)
	if !isForProxies(r) || n <= 0 {
		return r
	}
	if n < math.MaxInt64 {
		n--
	}
	r = r.WithContext(r.Context())
	r.Header = maps.Clone(r.Header)
	r.Header["Max-Forwards"] = []string{strconv.FormatInt(n, 10)}
	return r
}

// isForAll reports whether Connection cannot remove a field: because it says what is asked
// for, by whom or by which way, or because it is checked later (Te, Upgrade).
func isForAll(name string) bool {
	switch name {
	case "Authorization", "Cookie", "Host", "Date", "Origin", "Expect",
		"Cache-Control", "Pragma", "Range", "Te", "Upgrade", "Via", "User-Agent":
		return true
	}
	return isForwarding(name) || strings.HasPrefix(name, "If-") || strings.HasPrefix(name, "Content-")
}

func isHTTP(protocol string) bool {
	protocol = strings.ToLower(protocol)
	for _, start := range []string{"h2", "h3", "http", "tls"} {
		if strings.HasPrefix(protocol, start) {
			return true
		}
	}
	return false
}

// isForwarding reports whether proxies name the client of a request in a field.
func isForwarding(name string) bool {
	return strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" || name == "X-Real-Ip"
}

// trusts reports whether the peer that r comes from is in TrustedProxies.
func (f *front) trusts(r *http.Request) bool {
	if len(f.opts.TrustedProxies) == 0 {
		return false
	}
	peer, err := peerOf(r)
	return err == nil && slices.ContainsFunc(f.opts.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// peerOf returns the address that r comes from, or an error if that is a Unix socket.
func peerOf(r *http.Request) (netip.Addr, error) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap().WithZone(""), err
}

// hostAndScheme returns host and scheme of the client's request, as the origin gets them.
// The origin may use them in its response.
func (f *front) hostAndScheme(r *http.Request) (host, scheme string) {
	host, scheme = strings.ToLower(r.Host), "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if !f.trusts(r) {
		return host, scheme
	}
	if said := r.Header["X-Forwarded-Host"]; len(said) > 0 {
		host = strings.Join(said, ", ")
	}
	if said := r.Header["X-Forwarded-Proto"]; len(said) > 0 {
		scheme = strings.Join(said, ", ")
	}
	return host, scheme
}

// keyHost returns all that the origin gets about host and scheme, and that may show in its
// response, for the key of a page. The scheme has the other fields of trusted proxies behind
// it, but for addresses.
func (f *front) keyHost(r *http.Request) (host, scheme string) {
	if f.isClient {
		return r.Host, r.URL.Scheme
	}
	host, scheme = f.hostAndScheme(r)
	if !f.trusts(r) {
		return host, scheme
	}
	for pair := range forwardedPairs(strings.Join(r.Header["Forwarded"], ",")) {
		name, value, _ := strings.Cut(pair, "=")
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "for", "by":
		case "host", "proto":
			scheme += " " + name + "=" + strings.ToLower(value)
		default:
			scheme += " " + name + "=" + value
		}
	}
	var others []string
	for name, lines := range r.Header {
		switch name {
		case "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		default:
			if strings.HasPrefix(name, "X-Forwarded-") && !strings.Contains(name, "_") {
				others = append(others, fmt.Sprintf(" %s: %q", name, lines))
			}
		}
	}
	slices.Sort(others)
	return host + " " + strings.ToLower(r.Host), scheme + strings.Join(others, "")
}

// forwardedPairs splits a Forwarded field at the commas and semicolons that are not in
// quotes.
func forwardedPairs(field string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(field); i++ {
			switch c := field[i]; {
			case c == '"':
				quoted = !quoted
			case c == '\\' && quoted:
				i++
			case (c == ',' || c == ';') && !quoted:
				if !yield(strings.TrimSpace(field[start:i])) {
					return
				}
				start = i + 1
			}
		}
		yield(strings.TrimSpace(field[start:]))
	}
}

// setForwarding sets the fields of pr.Out that name the client and the proxies. pr.Out.Header
// has the client's end-to-end fields, perhaps without the forwarding fields.
func (f *front) setForwarding(pr *httputil.ProxyRequest) {
	if f.opts.Via == "" {
		return // not a Proxy
	}
	h, trusted := pr.Out.Header, f.trusts(pr.In)
	for name := range h {
		plain := hyphened(name)
		if name == "Proxy" || isForwarding(plain) && (!trusted || plain != name) {
			delete(h, name)
		}
	}
	if trusted {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
			if said := pr.In.Header[name]; len(said) > 0 {
				h[name] = slices.Clone(said)
			}
		}
	}
	f.addForwarding(h, pr.In)
	h.Add("Via", fmt.Sprintf("%d.%d %s", pr.In.ProtoMajor, pr.In.ProtoMinor, f.opts.Via))
}

// addForwarding appends the peer that r comes from to the forwarding fields.
func (f *front) addForwarding(h http.Header, r *http.Request) {
	host, scheme := f.hostAndScheme(r)
	h.Set("X-Forwarded-Host", host)
	h.Set("X-Forwarded-Proto", scheme)
	node := "unknown"
	if peer, err := peerOf(r); err == nil {
		h.Set("X-Forwarded-For", strings.Join(append(h["X-Forwarded-For"], peer.String()), ", "))
		if node = peer.String(); peer.Is6() {
			node = `"[` + node + `]"`
		}
	}
	if f.opts.Forwarded || len(h["Forwarded"]) > 0 {
		own, scheme := strings.ToLower(r.Host), "http"
		if r.TLS != nil {
			scheme = "https"
		}
		element := fmt.Sprintf("for=%s;host=%q;proto=%s", node, own, scheme)
		h.Set("Forwarded", strings.Join(append(h["Forwarded"], element), ", "))
	}
}

// hasLooped reports whether r has passed this proxy before.
func (f *front) hasLooped(r *http.Request) bool {
	for _, hop := range rfc9111.List(r.Header["Via"]) {
		if parts := strings.Fields(hop); len(parts) > 1 && f.opts.Via != "" && strings.EqualFold(parts[1], f.opts.Via) {
			return true
		}
	}
	return false
}

// hasDotDot reports whether some origin may take a segment of path for "..". path is decoded
// once. An origin may decode it again, cut off parameters, or take a backslash for a slash.
func hasDotDot(path string) bool {
	if !strings.Contains(path, "..") && !strings.Contains(path, "%") {
		return false
	}
	for segment := range strings.FieldsFuncSeq(decoded(path), func(c rune) bool { return c == '/' || c == '\\' }) {
		if end := strings.IndexAny(segment, ";?#\x00 \t\r\n"); end >= 0 {
			segment = segment[:end]
		}
		if segment == ".." {
			return true
		}
	}
	return false
}

// decoded returns path percent-decoded as often as that changes it, in one pass.
func decoded(path string) string {
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		out = append(out, path[i])
		for at := len(out) - 3; at >= 0 && out[at] == '%'; at = len(out) - 3 {
			high, low := unhex(out[at+1]), unhex(out[at+2])
			if high < 0 || low < 0 {
				break
			}
			out = append(out[:at], byte(high<<4|low))
		}
	}
	return string(out)
}

func unhex(c byte) int {
	return strings.IndexByte("0123456789abcdef", lower(c))
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'F' {
		return c | 0x20
	}
	return c
}

// isToken reports whether s is a token of HTTP (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// listed reports whether a field that is a list contains value. Case is ignored.
func listed(fields []string, value string) bool {
	for _, v := range rfc9111.List(fields) {
		if strings.EqualFold(v, value) {
			return true
		}
	}
	return false
}
