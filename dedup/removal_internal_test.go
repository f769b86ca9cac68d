package dedup

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup/internal/store"
)

// An evictingStore evicts each entry as soon as it has been read.
type evictingStore struct {
	store.Store[string, *entry[int]]
	on bool
}

func (s *evictingStore) Get(key string) (e *entry[int], ok bool) {
	e, ok = s.Store.Get(key)
	if s.on {
		s.Delete(key)
	}
	return e, ok
}

// TestAValueThatWasEvictedDoesNotComeBack with the error of a load that read it before.
func TestAValueThatWasEvictedDoesNotComeBack(t *testing.T) {
	fail := errors.New("the load failed")
	for _, errorTTL := range []time.Duration{0, time.Hour} {
		c, err := NewCache(func(context.Context, string) (int, error) { return 0, fail },
			&CacheOptions[string, int]{TTL: time.Hour, StaleIfError: time.Hour, ErrorTTL: errorTTL})
		require.NoError(t, err)
		s := &evictingStore{Store: c.store}
		c.store = s
		c.Put("k", 1)
		f := &flight[string, int]{key: "k", result: result[int]{loadErr: fail}}
		s.on = true
		c.publishError(f, c.prepare("k", 0, fail))
		s.on = false
		_, ok := s.Get("k")
		require.Equal(t, errorTTL > 0, ok)
		d, _ := c.Entry("k")
		require.False(t, d.HasValue)
	}
}
