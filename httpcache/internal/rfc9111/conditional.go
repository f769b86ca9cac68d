package rfc9111

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
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
func NotModified(request, stored http.Header, now time.Time) bool {
	if fields := request["If-None-Match"]; len(fields) > 0 {
		return matches(strings.Join(fields, ","), stored.Get("ETag"))
	}
	since, ok := dateOf(request, "If-Modified-Since", now)
	if !ok {
		return false
	}
	modified, ok := dateOf(stored, "Last-Modified", now)
	if !ok && len(stored["Last-Modified"]) == 0 { // RFC 9111, 4.3.2
		modified, ok = dateOf(stored, "Date", now)
	}
	return ok && !modified.After(since)
}

// IsAbout reports whether a 304 with the header update speaks of the response
// with the header stored (RFC 9111, 4.3.4): no validator of it is another one.
func IsAbout(update, stored http.Header) bool {
	if tag := update.Get("ETag"); tag != "" {
		return SameTag(tag, stored.Get("ETag"))
	}
	a, b := update.Get("Last-Modified"), stored.Get("Last-Modified")
	return a == "" || b == "" || a == b
}

// SameVersion reports whether the header of an answer to HEAD is about the version
// of a page of which the header and, unless it is negative, the length of the body
// are stored (RFC 9111, 4.3.5).
func SameVersion(head, stored http.Header, length int64) bool {
	for _, name := range []string{"Etag", "Last-Modified"} {
		if len(head[name]) > 0 && !slices.Equal(head[name], stored[name]) {
			return false
		}
	}
	said := head["Content-Length"]
	return len(said) == 0 || length >= 0 && said[0] == strconv.FormatInt(length, 10)
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
		case "Content-Length", "Content-Encoding", "Content-Range", "Content-Md5":
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
		case "Age", "Cache-Control", "Cdn-Cache-Control", "Date", "Expires", "Set-Cookie", "Vary":
		default:
			h.Del(name)
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
	return h
}
