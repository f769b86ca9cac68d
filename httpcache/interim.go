package httpcache

import (
	"maps"
	"net/http"
	"net/textproto"
	"sync"
)

// An interim writes the interim responses of a shared fetch, such as 103 Early Hints, to the
// client that started the fetch, while it waits. Other clients do not get them.
type interim struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil after end
}

// end waits until no interim response is being written, and prevents further ones.
func (i *interim) end() {
	i.mu.Lock()
	i.w = nil
	i.mu.Unlock()
}

// inform writes an interim response, whose header is not a part of the final one.
func (a *ask) inform(status int, header textproto.MIMEHeader) error {
	a.interim.mu.Lock()
	defer a.interim.mu.Unlock()
	if a.interim.w == nil || !isInterim(a.Request, status) {
		return nil
	}
	h := a.interim.w.Header()
	own := maps.Clone(h)
	clear(h)
	maps.Copy(h, http.Header(header))
	a.interim.w.WriteHeader(status)
	clear(h)
	maps.Copy(h, own)
	return nil
}

// isInterim reports whether an interim response of the origin is passed on to r's client.
// 100 and 101 are for one hop only, and HTTP/1.0 has no interim responses.
func isInterim(r *http.Request, status int) bool {
	return status > http.StatusSwitchingProtocols && status < 200 && r.ProtoAtLeast(1, 1)
}
