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

// A urlSet is a bounded set of hashes of URLs, each for a limited time. Cache.uncacheable has
// the URLs whose responses are not shared, so that requests for them do not wait for one
// another. If a URL is evicted, the next requests wait once.
type urlSet struct {
	seed maphash.Seed
	urls *dedup.Cache[uint64, struct{}]
}

const maxURLs = 1 << 13

func newURLSet(ttl time.Duration) *urlSet {
	unused := func(context.Context, uint64) (struct{}, error) { return struct{}{}, errors.ErrUnsupported }
	urls, err := dedup.NewCache(unused, &dedup.CacheOptions[uint64, struct{}]{MaxEntries: maxURLs, TTL: ttl})
	if err != nil {
		panic(err) // the options are valid
	}
	return &urlSet{maphash.MakeSeed(), urls}
}

// hash is the same for all variants of a URL, and for GET and HEAD.
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

// reconsider removes the URL of a request that passed through from Cache.uncacheable, if its
// response could have been shared. A response with an error is ignored.
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
