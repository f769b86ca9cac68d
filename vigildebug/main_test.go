package vigildebug_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/vigildebug"
)

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) { testkit.Main(m) }

// ask sends a request to r's handler, mounted as the documentation has it.
func ask(r *vigildebug.Registry, method, path string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle("/debug/vigil/", r.Handler())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func page(t testing.TB, r *vigildebug.Registry) string {
	t.Helper()
	w := ask(r, "GET", "/debug/vigil/")
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

// A section is one of the page's: its heading, and the cells of its table.
type section struct {
	heading, caption string
	rows             [][]string
	leases           [][]string // the cells of the table of leases
	paths            []string   // of what its plots draw
}

var inline = regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`)

// sections parses a page.
func sections(t testing.TB, html string) (all []section) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(inline.ReplaceAllString(html, "")))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var text strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			switch token.Name.Local {
			case "section":
				all = append(all, section{})
			case "tr":
				s := &all[len(all)-1]
				s.rows = append(s.rows, nil)
			case "path":
				if s := &all[len(all)-1]; strings.HasPrefix(attr(token, "class"), "line ") {
					s.paths = append(s.paths, attr(token, "d"))
				}
			}
			if !slices.Contains([]string{"bdi", "time", "span", "b"}, token.Name.Local) {
				text.Reset()
			}
		case xml.EndElement:
			if len(all) > 0 {
				all[len(all)-1].take(token.Name.Local, strings.TrimSpace(text.String()))
			}
		}
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// take puts the text of an element that ends where it belongs.
func (s *section) take(element, text string) {
	switch element {
	case "h2":
		s.heading = text
	case "caption":
		s.caption = text
	case "td":
		last := len(s.rows) - 1
		s.rows[last] = append(s.rows[last], text)
	case "thead":
		s.rows = nil // the head is none of the rows
	case "table":
		if strings.HasPrefix(s.caption, "Leases") {
			s.leases, s.rows, s.caption = s.rows, nil, ""
		}
	}
}

// find returns the section with that heading.
func find(t testing.TB, html, heading string) section {
	t.Helper()
	for _, s := range sections(t, html) {
		if s.heading == heading {
			return s
		}
	}
	require.Fail(t, "no such section", "%s in %s", heading, html)
	return section{}
}

// answer is what the documentation says of JSON.
type answer struct {
	Time   string `json:"time"`
	Things []struct {
		Kind    string             `json:"kind"`
		Name    string             `json:"name"`
		Metrics map[string]float64 `json:"metrics"`
		Waits   []struct {
			In      string `json:"in"`
			Key     string `json:"key"`
			Waiters int    `json:"waiters"`
			Since   string `json:"since"`
		} `json:"waits"`
		MoreWaits int `json:"more_waits"`
		Holder    *struct {
			Func  string `json:"func"`
			File  string `json:"file"`
			Line  int    `json:"line"`
			Since string `json:"since"`
		} `json:"holder"`
		Facts  map[string]string `json:"facts"`
		Leases []struct {
			In     string `json:"in"`
			Key    string `json:"key"`
			Holder string `json:"holder"`
			Ours   bool   `json:"ours"`
			Fence  uint64 `json:"fence"`
			Since  string `json:"since"`
		} `json:"leases"`
		MoreLeases int    `json:"more_leases"`
		Error      string `json:"error"`
		History    struct {
			Times  []string             `json:"times"`
			Values map[string][]float64 `json:"values"`
		} `json:"history"`
	} `json:"things"`
}

func jsonOf(t testing.TB, r *vigildebug.Registry) (a answer) {
	t.Helper()
	w := ask(r, "GET", "/debug/vigil/json")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&a))
	return a
}
