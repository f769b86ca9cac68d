package httpcache

import (
	"maps"
	"net/http"
	"net/textproto"
	"sync"
)

// An interim is where the interim responses of a shared fetch go, like 103 Early
// Hints: to its leader, as long as that waits. Those who join do not get them.
type interim struct {
	mu sync.Mutex
	w  http.ResponseWriter // nil: none is wanted any more
}

// end returns once nothing is being written any more.
func (i *interim) end() {
	i.mu.Lock()
	i.w = nil
	i.mu.Unlock()
}

// inform passes an interim response on. Its header is not that of the answer.
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

// isInterim reports whether r's client is told of an interim response of the
// origin. 100 is between each two hops, and HTTP/1.0 has none.
func isInterim(r *http.Request, status int) bool {
	return status > http.StatusSwitchingProtocols && status < 200 && r.ProtoAtLeast(1, 1)
}
