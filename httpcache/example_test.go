package httpcache_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/vigil-go/vigil/httpcache"
)

// newCache returns a cache with default options.
func newCache() *httpcache.Cache {
	cache, err := httpcache.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	return cache
}

// hello serves a page that is fresh for a minute.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Cache-Tag", "greetings")
	io.WriteString(w, "hello")
})

// show asks h for a page, and prints X-Cache and the body.
func show(h http.Handler, path string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	fmt.Println(w.Header().Get("X-Cache"), w.Body)
}

// newOrigin starts a server that a proxy asks, and returns its URL.
func newOrigin(h http.Handler) (origin *url.URL, stop func()) {
	server := httptest.NewServer(h)
	origin, err := url.Parse(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	return origin, server.Close
}

// A reverse proxy asks its origin once, and answers later requests itself.
func ExampleCache_Proxy() {
	origin, stop := newOrigin(hello)
	defer stop()

	cache := newCache()
	defer cache.Close()
	proxy := cache.Proxy(origin, nil)
	show(proxy, "/")
	show(proxy, "/")
	// Output:
	// fetched hello
	// hit hello
}

// The connections of a server answer plain requests for small pages that are kept.
func ExampleQuickHits() {
	origin, stop := newOrigin(hello)
	defer stop()
	cache := newCache()
	defer cache.Close()
	proxy := cache.Proxy(origin, nil)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: proxy}
	go server.Serve(httpcache.QuickHits(server, listener, proxy, nil))
	defer server.Close()

	res, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Println(string(body), err)
	// Output: hello <nil>
}

// A cache in front of a slow handler, in the same process.
func ExampleCache_Handler() {
	cache := newCache()
	defer cache.Close()
	h := cache.Handler(hello)
	show(h, "/")
	show(h, "/")
	// Output:
	// fetched hello
	// hit hello
}

// A client with a cache of its own.
func ExampleCache_Transport() {
	server := httptest.NewServer(hello)
	defer server.Close()
	cache, err := httpcache.New(&httpcache.Options{Private: true})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()

	client := &http.Client{Transport: cache.Transport(nil)}
	defer client.CloseIdleConnections()
	for range 2 {
		res, err := client.Get(server.URL)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		fmt.Printf("%s %s\n", res.Header.Get("X-Cache"), body)
	}
	// Output:
	// fetched hello
	// hit hello
}

// When a page has changed at its origin, its responses are removed by their tag.
func ExampleCache_Purge() {
	cache := newCache()
	defer cache.Close()
	h := cache.Handler(hello)
	show(h, "/")
	fmt.Println("removed:", cache.Purge(httpcache.Selection{Tag: "greetings"}))
	show(h, "/")
	// Output:
	// fetched hello
	// removed: 1
	// fetched hello
}

// The counts say how often the origin was asked.
func ExampleCache_Stats() {
	cache := newCache()
	defer cache.Close()
	h := cache.Handler(hello)
	for range 10 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	s := cache.Stats()
	fmt.Println(s.Requests, "requests,", s.Hits, "hits, origin asked:", s.Origin)
	// Output:
	// 10 requests, 9 hits, origin asked: 1
}

// A program can list its fetches, with the number of requests that wait for each.
func ExampleCache_InFlight() {
	cache := newCache()
	defer cache.Close()
	h := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for page, info := range cache.InFlight() {
			fmt.Println(page, "has waiters:", info.Waiters)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/slow", nil))
	// Output:
	// GET /slow has waiters: 1
}

// Explain says what the cache would do with a response.
func ExampleCache_Explain() {
	cache := newCache()
	defer cache.Close()
	req := httptest.NewRequest("GET", "http://example.org/page?q=1", nil)
	res := &http.Response{StatusCode: 200, Header: http.Header{
		"Cache-Control": {"max-age=60, stale-while-revalidate=30"},
		"Age":           {"20"},
		"Vary":          {"Accept-Language"},
	}}
	x := cache.Explain(req, res, time.Time{})
	fmt.Println("fresh for", x.Fresh, "by", x.Rule)
	fmt.Println()
	fmt.Print(x.String())
	// Output:
	// fresh for 40s by max-age
	//
	// status         200 OK
	// Cache-Control  max-age=60                 fresh until this age
	// Cache-Control  stale-while-revalidate=30  used stale while asking
	// Age            20                         age when received 20s
	// Vary           Accept-Language            kept for each value of these
	//
	// shared          yes
	// kept            yes: for 1m10s at most
	// age             20s when received
	// fresh           yes: for 40s, by max-age
	// while asking    yes: stale for 30s, by stale-while-revalidate
	// after failures  no
	// validated       no
	// key             GET http://example.org/page?q=1
	// and fields      Accept-Language
	// and cookies     none
}
