package httpcache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A request for a part of a page is answered from all of it, if that is there:
// offsets are about the content as it is coded (RFC 9110, 14.1), so it may be
// coded, in the way that the user accepts. Otherwise the user asks the origin by
// itself, unless Options.FillRanges lets all of the page be fetched. What is only
// a part is not kept.

// largeTTL is how long it is remembered that a page is too large for FillRanges.
const largeTTL = time.Hour

// isRangeRequest reports whether r asks for a part of a page. HEAD has none.
func isRangeRequest(r *http.Request) bool {
	return r.Method == http.MethodGet && len(r.Header["Range"]) > 0
}

// canCut reports whether a part of the response can be served: all of it is
// there.
func (e *response) canCut() bool {
	return e.body != nil && e.status == http.StatusOK && e.body.whole.Load()
}

// fills reports whether all of a page is worth a fetch for a, which asks for a
// part of it.
func (f *front) fills(a *ask, url pageKey) bool {
	first, ok := firstByte(a.Header["Range"])
	return ok && first < f.FillRanges && !a.says.OnlyIfCached && !a.says.NoStore && !f.large.has(url)
}

// firstByte returns where the only range of a Range field begins.
func firstByte(fields []string) (int64, bool) {
	if len(fields) != 1 {
		return 0, false
	}
	spec, ok := strings.CutPrefix(fields[0], "bytes=")
	first, last, ok2 := strings.Cut(spec, "-")
	n, err := strconv.ParseUint(first, 10, 63)
	return int64(n), ok && ok2 && err == nil && !strings.ContainsAny(last, ",-")
}

// tooLarge reports whether e, which was fetched for a part of it, is not worth
// it after all, or how large it is is not known.
func (f *front) tooLarge(e *response) bool {
	if e.body == nil || e.status != http.StatusOK || e.canCut() {
		return false
	}
	size, ok := e.announced()
	return !ok || size > f.FillRanges
}

// announced is how long the body will be, if the origin has said so.
func (e *response) announced() (int64, bool) {
	size, err := strconv.ParseUint(e.header.Get("Content-Length"), 10, 63)
	return int64(size), err == nil
}

// cut answers r, which asks for a part of a page, from all of it. It returns
// false, and has written nothing, if that cannot be done.
func (e *response) cut(w http.ResponseWriter, r *http.Request, follower *reader) bool {
	if !isRangeRequest(r) || e.status != http.StatusOK {
		return false
	}
	if _, ok := w.Header()["Content-Type"]; !ok {
		w.Header()["Content-Type"] = nil // it is not to be guessed
	}
	modified, _ := http.ParseTime(e.header.Get("Last-Modified"))
	if follower == nil {
		http.ServeContent(w, r, "", modified, &section{body: e.body})
		return true
	}
	_, single := firstByte(r.Header["Range"])
	size, known := e.announced()
	if !single || !known {
		return false
	}
	part := &arriving{ctx: r.Context(), out: http.NewResponseController(w), reader: follower, size: size}
	http.ServeContent(w, r, "", modified, part)
	part.check()
	return true
}

// arriving reads a body that is arriving, from one offset on.
type arriving struct {
	ctx    context.Context
	out    *http.ResponseController
	reader *reader
	size   int64
	off    int64  // of the next byte to be read
	at     int64  // of left
	left   []byte // what has arrived
	err    error
}

func (s *arriving) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += s.off
	case io.SeekEnd:
		off += s.size
	}
	if off < s.at {
		return 0, errSeek
	}
	s.off = off
	return off, nil
}

func (s *arriving) Read(p []byte) (int, error) {
	if s.off >= s.size {
		return 0, io.EOF
	}
	for s.at+int64(len(s.left)) <= s.off {
		if s.err = s.advance(); s.err != nil {
			return 0, s.err
		}
	}
	s.left = s.left[s.off-s.at:]
	n := copy(p, s.left)
	s.left = s.left[n:]
	s.off += int64(n)
	s.at = s.off
	return n, nil
}

// advance waits for what follows left. The user has what there was before.
func (s *arriving) advance() error {
	if s.reader.caughtUp && s.off == s.at {
		s.out.Flush()
	}
	next, err := s.reader.next(s.ctx)
	if err == io.EOF {
		return io.ErrUnexpectedEOF // it is shorter than the origin said
	}
	s.at += int64(len(s.left))
	s.left = next
	return err
}

// check aborts the connection if the part broke off.
func (s *arriving) check() {
	if s.err == nil {
		return
	}
	if s.ctx.Err() == nil && !errors.Is(s.err, errLeft) {
		s.reader.s.body.owner.broke(s.err)
	}
	panic(http.ErrAbortHandler)
}
