package httpcache

import (
	"net/http"
	"net/url"
	"strings"
)

// noteWrite notes that a request that passed through may have changed its page, and the pages
// that the response names (RFC 9111, 4.4). Unknown methods count as unsafe.
func (f *front) noteWrite(res *http.Response) {
	f.noteWriteBy(passingOf(res.Request).client, res)
}

// noteWriteBy is noteWrite, for a response to r.
func (f *front) noteWriteBy(r *http.Request, res *http.Response) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return
	}
	if res.StatusCode < 200 || res.StatusCode >= 400 {
		return
	}
	tick, uris := f.ticks.next(), []string{r.URL.RequestURI()}
	for _, name := range []string{"Location", "Content-Location"} {
		uris = append(uris, f.pagesNamed(r, res.Header.Get(name))...)
	}
	for _, uri := range uris {
		f.writes.add(uri, tick)
	}
	if f.storage != nil {
		f.storage.written(r.Context(), uris)
	}
}

// pagesNamed returns the pages that a reference in the response to r can mean. It may be
// relative to the URL of the client, or to that of the origin, whose path comes first.
func (f *front) pagesNamed(r *http.Request, reference string) []string {
	ref, err := url.Parse(reference)
	if reference == "" || err != nil {
		return nil
	}
	host, _ := f.hostAndScheme(r)
	origin := f.origin
	if origin == nil {
		origin = &url.URL{Host: r.URL.Host}
	}
	for _, known := range []string{"", r.Host, host, origin.Host} {
		if ref.Opaque != "" || hostOf(ref.Host) != hostOf(known) {
			continue
		}
		uri := r.URL.ResolveReference(&url.URL{Path: ref.Path, RawPath: ref.RawPath, RawQuery: ref.RawQuery, ForceQuery: ref.ForceQuery})
		named := []string{uri.RequestURI()}
		base := strings.TrimSuffix(origin.EscapedPath(), "/")
		if below, ok := strings.CutPrefix(named[0], base); ok && base != "" {
			named = append(named, "/"+strings.TrimPrefix(below, "/"))
		}
		return named
	}
	return nil
}

// hostOf returns a host in lower case, without the default port of either scheme.
func hostOf(host string) string {
	host = strings.ToLower(host)
	return strings.TrimSuffix(strings.TrimSuffix(host, ":80"), ":443")
}
