package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrivatePageIsThereUnderItsAddressOnly(t *testing.T) {
	h := onlyByAddress("ops.internal:6060", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	for host, status := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:6060": 200, "10.1.2.3:80": 200, "[::1]:6060": 200, "[::1]": 200, "[fe80::1%25eth0]:1": 200,
		"localhost": 200, "LocalHost:6060": 200, "ops.internal:6060": 200, "ops.internal": 200,
		"evil.test": 421, "evil.test:6060": 421, "127.0.0.1.evil.test": 421, "localhost.evil.test": 421, "xlocalhost": 421, "": 421,
		"localhost@evil.test": 421, "0x7f.1": 421, "evil.test:127.0.0.1": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, host)
	}
	w := httptest.NewRecorder()
	onlyByAddress(":6060", h).ServeHTTP(w, httptest.NewRequest("GET", "http://evil.test/", nil))
	require.Equal(t, 421, w.Code, "no name was given")
}

func TestWindowAnswersNoOtherHost(t *testing.T) {
	url, closeWindow, err := openWindow("127.0.0.1:0")
	require.NoError(t, err)
	defer closeWindow()
	for host, status := range map[string]int{"": 200, "evil.test": 421} {
		require.Equal(t, status, getWith(url, "Host: "+host).status)
	}
}
