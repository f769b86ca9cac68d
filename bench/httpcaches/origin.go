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

// An Origin is what the caches stand before: /SIZE/anything has that many bytes and may
// be kept for an hour, /slow/SIZE/anything comes after a while.
type Origin struct {
	Address string
	Asked   atomic.Uint64
	server  *http.Server
}

// slowness is how long a slow page takes.
const slowness = 20 * time.Millisecond

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
		time.Sleep(slowness)
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
		return 0, errors.Join(fmt.Errorf("httpcaches: no page is %q", path), err)
	}
	return size, nil
}

// Close stops the origin.
func (o *Origin) Close() error { return o.server.Close() }
