package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// onlyByAddress passes requests on to h only if their host is an IP address, localhost, or the
// host of address. Otherwise a web page of another site could make its own name resolve to
// this server, and its browser would let it read the responses (DNS rebinding).
func onlyByAddress(address string, h http.Handler) http.Handler {
	name, _, _ := net.SplitHostPort(address)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		_, err := netip.ParseAddr(host)
		if err != nil && !strings.EqualFold(host, "localhost") && (name == "" || !strings.EqualFold(host, name)) {
			http.Error(w, "this page is there under its address only", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hostOf returns a Host field without its port and without the brackets of IPv6.
func hostOf(field string) string {
	host, _, err := net.SplitHostPort(field)
	if err != nil {
		host = field
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
