package httpcache

import (
	"net/http"
	"strings"
)

// HasValidator reports whether a response has what an origin can be asked with
// whether it still holds.
func HasValidator(h http.Header) bool {
	return h.Get("ETag") != "" || h.Get("Last-Modified") != ""
}

// AskIfChanged makes a request conditional: the origin need not send again what
// a response with the header stored already says.
func AskIfChanged(request, stored http.Header) {
	if tag := stored.Get("ETag"); tag != "" {
		request.Set("If-None-Match", tag)
	}
	if date := stored.Get("Last-Modified"); date != "" {
		request.Set("If-Modified-Since", date)
	}
}

// NotModified reports whether a conditional request is answered by saying that
// its sender has the response with the header stored already.
func NotModified(request, stored http.Header) bool {
	if fields := request["If-None-Match"]; len(fields) > 0 {
		return matches(strings.Join(fields, ","), stored.Get("ETag"))
	}
	since, err := http.ParseTime(request.Get("If-Modified-Since"))
	if err != nil {
		return false
	}
	modified, err := http.ParseTime(stored.Get("Last-Modified"))
	return err == nil && !modified.After(since)
}

// SameTag compares entity tags, weakly: W/ means nothing. No tag is like none.
func SameTag(a, b string) bool {
	a, b = strings.TrimPrefix(a, "W/"), strings.TrimPrefix(b, "W/")
	return a != "" && a == b
}

// matches looks for tag in a list of tags. What is behind a broken one is not
// looked at.
func matches(list, tag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for {
		list = strings.TrimPrefix(strings.TrimLeft(list, " \t,"), "W/")
		if list == "" || list[0] != '"' {
			return false
		}
		end := strings.IndexByte(list[1:], '"') + 2
		if end < 2 {
			return false
		}
		if SameTag(list[:end], tag) {
			return true
		}
		list = list[end:]
	}
}

// Freshen returns the header stored as a 304 with the header update changes it:
// all that it says is taken over, except on what the body is that was stored.
func Freshen(stored, update http.Header) http.Header {
	h := stored.Clone()
	for name, values := range update {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range":
		default:
			h[name] = values
		}
	}
	return h
}

// EndToEnd returns the fields that are not about one connection. Those that say
// for whom the response is stay, even if Connection names them.
func EndToEnd(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range List(h["Connection"]) {
		switch http.CanonicalHeaderKey(name) {
		case "Age", "Cache-Control", "Date", "Expires", "Set-Cookie", "Vary":
		default:
			h.Del(name)
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
	return h
}
