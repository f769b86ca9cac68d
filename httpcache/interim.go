package httpcache

import (
	"maps"
	"net/http"
	"net/textproto"
	"sync"
)

// An interim writes the interim responses of a shared fetch, such as 103 Early Hints, to the
// client that started the fetch, while it waits. Other clients do not get them. The fetch does not
// wait until they are written, because that client may be slow.
type interim struct {
	mu     sync.Mutex
	w      http.ResponseWriter // nil after end
	queue  []early
	writer chan struct{} // closed when the queue is empty; nil if it is
	fault  any           // what w has panicked with
}

// An early is one interim response.
type early struct {
	status int
	header http.Header
}

// maxEarly is the maximum number of interim responses that wait to be written. Further ones are dropped.
const maxEarly = 8

// end waits until all interim responses have been written, and prevents further ones. If the
// client's http.ResponseWriter has panicked, end does.
func (i *interim) end() {
	i.mu.Lock()
	i.w = nil
	writer := i.writer
	i.mu.Unlock()
	if writer != nil {
		<-writer
	}
	if p := i.fault; p != nil {
		i.fault = nil
		panic(p)
	}
}

// inform writes an interim response in the background.
func (a *ask) inform(status int, header textproto.MIMEHeader) error {
	i := &a.interim
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.w == nil || len(i.queue) == maxEarly || !isInterim(a.Request, status) {
		return nil
	}
	i.queue = append(i.queue, early{status, http.Header(header)})
	if i.writer == nil {
		i.writer = make(chan struct{})
		go i.write(i.w)
	}
	return nil
}

// write writes the queue to w.
func (i *interim) write(w http.ResponseWriter) {
	written := false
	defer func() {
		if !written {
			i.abandon(recover())
		}
	}()
	for e, ok := i.next(); ok; e, ok = i.next() {
		e.writeTo(w)
	}
	written = true
}

// abandon drops the queue, because w has panicked with p, or exited.
func (i *interim) abandon(p any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.w, i.queue, i.fault = nil, nil, p
	close(i.writer)
	i.writer = nil
}

// next removes the first one from the queue, or notes that there is none.
func (i *interim) next() (e early, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.queue) == 0 {
		close(i.writer)
		i.writer = nil
		return early{}, false
	}
	e = i.queue[0]
	i.queue = i.queue[1:]
	return e, true
}

// writeTo writes e, whose header is not a part of the final one.
func (e early) writeTo(w http.ResponseWriter) {
	h := w.Header()
	own := maps.Clone(h)
	clear(h)
	maps.Copy(h, e.header)
	w.WriteHeader(e.status)
	clear(h)
	maps.Copy(h, own)
}

// isInterim reports whether an interim response of the origin is passed on to r's client.
// 100 and 101 are for one hop only, and HTTP/1.0 has no interim responses.
func isInterim(r *http.Request, status int) bool {
	return status > http.StatusSwitchingProtocols && status < 200 && r.ProtoAtLeast(1, 1)
}
