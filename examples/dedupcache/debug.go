package main

import (
	"net"
	"net/http"
	"time"

	"github.com/vigil-go/vigil/vigildebug"
)

// watch shows the fetches of the front on the page of -debug, until the front is closed.
// showKeys also shows their URLs, which may contain secrets.
func (f *front) watch(name string, showKeys bool) {
	var opts []vigildebug.Option
	if showKeys {
		opts = append(opts, vigildebug.ShowKeys())
	}
	unwatch, closeFront := vigildebug.Group(name, f.Cache, opts...), f.close
	f.close = func() {
		unwatch()
		closeFront()
	}
}

// openWindow serves vigildebug's page on a listener of its own, which only the program's
// operators should reach. It returns the URL and a function that ends it.
func openWindow(address string) (url string, closeWindow func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/vigil/", vigildebug.Handler())
	server := &http.Server{Handler: onlyByAddress(address, mux), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)

	stop := everySecond(func() { vigildebug.Default().Snapshot() }) // so that the plots have a past
	return "http://" + listener.Addr().String() + "/debug/vigil/", func() {
		stop()
		server.Close()
	}, nil
}
