package httpcache

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// uncacheable remember of URLs that their responses are not to be shared, so that
// users that come next do not wait to hear that. They are a limited number of
// hashes: a URL that is forgotten costs the next users one wait.
type urlSet struct {
	seed maphash.Seed
	urls *dedup.Cache[uint64, struct{}]
}

const maxURLs = 1 << 13

func newURLSet(ttl time.Duration) *urlSet {
	unused := func(context.Context, uint64) (struct{}, error) { return struct{}{}, errors.ErrUnsupported }
	urls, err := dedup.NewCache(unused, &dedup.CacheOptions[uint64, struct{}]{MaxEntries: maxURLs, TTL: ttl})
	if err != nil {
		panic(err) // the options make sense
	}
	return &urlSet{maphash.MakeSeed(), urls}
}

// hash is the same for all responses of a URL, and for GET and HEAD.
func (v *urlSet) hash(key pageKey) uint64 {
	key = key.url()
	key.method = ""
	return maphash.Comparable(v.seed, key)
}

func (v *urlSet) add(key pageKey) { v.urls.Put(v.hash(key), struct{}{}) }
func (v *urlSet) end(key pageKey) { v.urls.Invalidate(v.hash(key)) }

func (v *urlSet) has(key pageKey) bool {
	_, ok := v.urls.Peek(v.hash(key))
	return ok
}

// reconsider ends the verdict by which a request went by itself if its response
// could have been shared. An error says nothing about that.
func (f *front) reconsider(res *http.Response) {
	url := passingOf(res.Request).uncacheable
	if url == (pageKey{}) || res.StatusCode >= 500 {
		return
	}
	now := time.Now()
	if _, known := varyOf(res.Header); known && !rfc9111.PolicyOf(res.StatusCode, f.withoutSetCookies(res.Header), now, now, f.rules).Personal {
		f.uncacheable.end(url)
	}
}
