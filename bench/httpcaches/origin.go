package httpcaches

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// An Origin is the server behind the caches. /SIZE/anything is a page of SIZE bytes that is
// fresh for an hour. /slow/SIZE/anything is the same after 20 ms.
type Origin struct {
	Address string        // host and port
	Asked   atomic.Uint64 // the number of requests
	server  *http.Server
}

// delay is the time before a slow page.
const delay = 20 * time.Millisecond

// NewOrigin starts an origin in this process.
func NewOrigin() (*Origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &Origin{Address: l.Addr().String()}
	o.server = &http.Server{Handler: o}
	go o.server.Serve(l)
	return o, nil
}

func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.Asked.Add(1)
	path, slow := strings.CutPrefix(r.URL.Path, "/slow")
	size, err := sizeIn(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if slow {
		time.Sleep(delay)
	}
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for piece := make([]byte, min(size, 1<<16)); size > 0; size -= len(piece) {
		if _, err := w.Write(piece[:min(size, len(piece))]); err != nil {
			return
		}
	}
}

func sizeIn(path string) (int, error) {
	text, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	size, err := strconv.Atoi(text)
	if err != nil || size < 0 || size > 1<<30 {
		return 0, errors.Join(fmt.Errorf("httpcaches: there is no page %q", path), err)
	}
	return size, nil
}

// Close stops the origin.
func (o *Origin) Close() error { return o.server.Close() }
