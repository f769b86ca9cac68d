package server

import (
	"net"
	"net/http"
)

// helloNet and the like ignore the size: net/http has buffers of its own.
func helloNet(int) (net.Addr, error) {
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		return nil, err
	}
	go serveHello(l)
	return l.Addr(), nil
}

func serveHello(l net.Listener) {
	err := http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil // none, so that all answers are the same
		_, _ = w.Write([]byte("hello"))
	}))
	panic(err) // the listener is never closed
}
