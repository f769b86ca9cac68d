package rfc9111

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HasValidator reports whether a response has a validator, by which the origin can be asked
// whether it is still valid.
func HasValidator(h http.Header) bool {
	return h.Get("ETag") != "" || h.Get("Last-Modified") != ""
}

// AskIfChanged makes a request conditional, so that the origin need not send the response
// with the header stored again.
func AskIfChanged(request, stored http.Header) {
	if tag := stored.Get("ETag"); tag != "" {
		request.Set("If-None-Match", tag)
	}
	if date := stored.Get("Last-Modified"); date != "" {
		request.Set("If-Modified-Since", date)
	}
}

// NotModified reports whether the answer to a conditional request is 304, because its sender
// already has the response with the header stored.
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

// IsAbout reports whether a 304 with the header update is about the response with the header
// stored (RFC 9111, 4.3.4): their validators do not differ.
func IsAbout(update, stored http.Header) bool {
	if tag := update.Get("ETag"); tag != "" {
		return SameTag(tag, stored.Get("ETag"))
	}
	a, b := update.Get("Last-Modified"), stored.Get("Last-Modified")
	return a == "" || b == "" || a == b
}

// SameVersion reports whether the header of a response to HEAD is of the same version of a page
// as a stored response to GET with the given header and length (RFC 9111, 4.3.5). A negative
// length is not known.
func SameVersion(head, stored http.Header, length int64) bool {
	for _, name := range []string{"Etag", "Last-Modified"} {
		if len(head[name]) > 0 && !slices.Equal(head[name], stored[name]) {
			return false
		}
	}
	said := head["Content-Length"]
	return len(said) == 0 || length >= 0 && said[0] == strconv.FormatInt(length, 10)
}

// SameTag reports whether two entity tags are equal by weak comparison. An empty tag is equal
// to none.
func SameTag(a, b string) bool {
	a, b = strings.TrimPrefix(a, "W/"), strings.TrimPrefix(b, "W/")
	return a != "" && a == b
}

// matches reports whether a list of tags contains tag. It ends at the first invalid tag.
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

// Freshen returns the header stored with the fields of a 304 with the header update, except
// for the fields that describe the stored body.
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

// EndToEnd returns a copy of h without the fields for one hop. Fields that say who may get a
// response are kept even if Connection names them.
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
