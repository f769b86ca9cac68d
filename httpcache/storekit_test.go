package httpcache

import (
	"bytes"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// A memory is a Store for tests. What has an entry in do by a method's name is done
// before each call of that method.
type memory struct {
	mu   sync.Mutex
	all  map[string]kept
	do   map[string]func(key string) error
	body func(p []byte) io.Reader // what is read of a body; nil: that
}

type kept struct{ head, body []byte }

func newMemory() *memory { return &memory{all: map[string]kept{}, do: map[string]func(string) error{}} }

// on has do be done before each call of a method; nil: nothing.
func (m *memory) on(method string, do func(key string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do[method] = do
}

func (m *memory) begin(method, key string) error {
	m.mu.Lock()
	do := m.do[method]
	m.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(key)
}

func (m *memory) Load(key string) ([]byte, io.ReadCloser, int64, error) {
	if err := m.begin("Load", key); err != nil {
		return nil, nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.all[key]
	if !ok {
		return nil, nil, 0, fs.ErrNotExist
	}
	var body io.Reader = bytes.NewReader(k.body)
	if m.body != nil {
		body = m.body(k.body)
	}
	return k.head, io.NopCloser(body), int64(len(k.body)), nil
}

func (m *memory) Save(key string, head []byte, body io.Reader) error {
	if err := m.begin("Save", key); err != nil {
		return err
	}
	p, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[key] = kept{slices.Clone(head), p}
	return nil
}

func (m *memory) Delete(key string) error {
	if err := m.begin("Delete", key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, key)
	return nil
}

func (m *memory) Heads() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if m.begin("Heads", "") != nil {
			return
		}
		m.mu.Lock()
		all := maps.Clone(m.all)
		m.mu.Unlock()
		for key, k := range all {
			if !yield(key, k.head) {
				return
			}
		}
	}
}

// count returns how many responses are stored.
func (m *memory) count() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, k := range m.all {
		if r, err := parseHead(key, k.head); err == nil && r.Status > 0 {
			n++
		}
	}
	return n
}

func (m *memory) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.all[key]
	return ok
}

// isPage reports whether a key is that of a page, or of the rule of a URL.
func isPage(key string) bool { return strings.HasPrefix(key, "[") }

// change replaces the heads of all pages.
func (m *memory) change(f func(key string, head []byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, k := range m.all {
		if isPage(key) {
			m.all[key] = kept{f(key, k.head), k.body}
		}
	}
}

func with(store Store) func(*Options) { return func(o *Options) { o.Store = store } }

// newStoredSite returns a site with a store that has the page "/", which says lines.
func newStoredSite(t *testing.T, lines ...string) (*site, *memory) {
	store := newMemory()
	s := newSite(t, answering(lines...), with(store))
	s.expect(t, "/ fetched")
	synctest.Wait()
	return s, store
}

// again returns a site on the store of s, as after a restart. It has read the log of purges.
func (s *site) again(t *testing.T, origin http.HandlerFunc, changes ...func(*Options)) *site {
	synctest.Wait()
	require.NoError(t, s.Close())
	next := newSite(t, origin, append([]func(*Options){with(s.Options.Store)}, changes...)...)
	synctest.Wait()
	return next
}

// forgetMemory leaves what is stored.
func (s *site) forgetMemory() { s.pages.InvalidateAll() }

// expect makes requests for pages, "/a fetched" for instance, and returns the last answer.
func (s *site) expect(t *testing.T, steps string, header ...string) (r reply) {
	t.Helper()
	for step := range strings.SplitSeq(steps, ", ") {
		path, from, _ := strings.Cut(step, " ")
		r = s.request("GET", path, header...)
		require.Equal(t, 200, r.status, "%s %v", step, header)
		require.False(t, r.aborted, "%s %v", step, header)
		require.Equal(t, from, r.cache(), "%s %v", step, header)
	}
	return r
}
