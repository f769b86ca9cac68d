package vigildebug

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Handler returns a handler for the default registry; see [Registry.Handler].
func Handler() http.Handler { return std.Handler() }

// Handler returns a handler that serves the page on every path that ends with a slash, and
// JSON on every path that ends with "/json", and on the page's path with the query
// "format=json". It answers other paths with 404, and methods other than GET and HEAD with
// 405.
//
// The handler asks for no credentials. Serve it on a private listener.
func (r *Registry) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		protect(w.Header())
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		base := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
		switch {
		case base == "json", base == "" && req.URL.Query().Get("format") == "json":
			serve(w, req, "application/json", func(b io.Writer) error { return json.NewEncoder(b).Encode(r.Snapshot()) })
		case base == "":
			serve(w, req, "text/html; charset=utf-8", func(b io.Writer) error { return writePage(b, r.Snapshot()) })
		default:
			http.NotFound(w, req)
		}
	})
}

// policy allows the page's own style and script, by their hashes, and that the
// script fetches the page.
var policy = strings.Join([]string{
	"default-src 'none'",
	"style-src " + hashSource(pageCSS),
	"script-src " + hashSource(pageJS),
	"connect-src 'self'",
	"img-src data:", // the icon, which is empty
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
}, "; ")

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func protect(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// serve writes the whole answer into memory first, so that an error does not follow half
// a page.
func serve(w http.ResponseWriter, req *http.Request, contentType string, write func(io.Writer) error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		http.Error(w, "vigildebug: "+valid(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	if req.Method != http.MethodHead {
		w.Write(b.Bytes()) // its error is the client's
	}
}
