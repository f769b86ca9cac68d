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

// A request for a range is answered from a whole body, if that is kept. Offsets count in the
// coded content (RFC 9110, 14.1), so the body may have any coding that the client accepts.
// Otherwise the request passes through, unless Options.FillRanges permits that the whole
// page is fetched. A part of a page is not kept.

// largeTTL is the time for which a page counts as too large for FillRanges.
const largeTTL = time.Hour

// maxRanges is how many ranges are answered at once. A request for more gets the whole
// body, because they would take more time and bytes (RFC 9110, 14.2).
const maxRanges = 100

// isRangeRequest reports whether r asks for a range. HEAD cannot.
func isRangeRequest(r *http.Request) bool {
	return r.Method == http.MethodGet && len(r.Header["Range"]) > 0
}

// canCut reports whether any range of the response can be served, because its body is whole.
func (e *response) canCut() bool {
	return e.body != nil && e.status == http.StatusOK && e.body.whole.Load()
}

// fills reports whether the whole page is fetched for a, which asks for a range of it.
func (f *front) fills(a *ask, url pageKey) bool {
	first, ok := firstByte(a.Header["Range"])
	return ok && first < f.FillRanges && !a.says.OnlyIfCached && !a.says.NoStore && !f.large.has(url)
}

// firstByte returns the first byte of a Range field that has a single range.
func firstByte(fields []string) (int64, bool) {
	if len(fields) != 1 {
		return 0, false
	}
	spec, ok := strings.CutPrefix(fields[0], "bytes=")
	first, last, ok2 := strings.Cut(spec, "-")
	n, err := strconv.ParseUint(first, 10, 63)
	return int64(n), ok && ok2 && err == nil && !strings.ContainsAny(last, ",-")
}

// tooLarge reports whether e, which was fetched for a range, is larger than FillRanges or
// has no known length.
func (f *front) tooLarge(e *response) bool {
	if e.body == nil || e.status != http.StatusOK || e.canCut() {
		return false
	}
	size, ok := e.announced()
	return !ok || size > f.FillRanges
}

// announced returns the length of the body, if the origin has sent it.
func (e *response) announced() (int64, bool) {
	size, err := strconv.ParseUint(e.header.Get("Content-Length"), 10, 63)
	return int64(size), err == nil
}

// cut answers r by a range of the body. If it cannot, it writes nothing and returns false.
func (e *response) cut(w http.ResponseWriter, r *http.Request, follower *reader) bool {
	if !isRangeRequest(r) || e.status != http.StatusOK || strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		return false
	}
	if _, ok := w.Header()["Content-Type"]; !ok {
		w.Header()["Content-Type"] = nil // net/http must not guess it
	}
	modified, _ := http.ParseTime(e.header.Get("Last-Modified"))
	if follower == nil {
		all := &section{body: e.body}
		defer all.end()
		http.ServeContent(w, r, "", modified, all)
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

// An arriving is a body that arrives, as an io.ReadSeeker that cannot seek back.
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

// advance waits for the bytes after left, which have all been read.
func (s *arriving) advance() error {
	if s.reader.caughtUp && s.off == s.at {
		s.out.Flush()
	}
	next, err := s.reader.proceed(s.ctx)
	if err == io.EOF {
		return io.ErrUnexpectedEOF // it is shorter than announced
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
