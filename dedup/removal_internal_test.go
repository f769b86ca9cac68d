package dedup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
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

// A hookedStore calls functions before its methods do something.
type hookedStore struct {
	store.Store[string, *entry[int]]
	replace, yield func()
}

func (s *hookedStore) Replace(key string, old, e *entry[int]) bool {
	s.replace()
	return s.Store.Replace(key, old, e)
}

func (s *hookedStore) All() iter.Seq2[string, *entry[int]] {
	return func(yield func(string, *entry[int]) bool) {
		for key, e := range s.Store.All() {
			s.yield()
			if !yield(key, e) {
				return
			}
		}
	}
}

// hooked returns a Cache with a value for k whose loads fail.
func hooked(t *testing.T, o CacheOptions[string, int]) (*Cache[string, int], *hookedStore) {
	c, err := NewCache(func(context.Context, string) (int, error) { return 0, errors.New("the load failed") }, &o)
	require.NoError(t, err)
	s := &hookedStore{c.store, func() {}, func() {}}
	c.store = s
	c.Put("k", 1)
	return c, s
}

// TestAGetDuringAFailingLoadRenewsTheValue: it has found the entry that the load replaces.
func TestAGetDuringAFailingLoadRenewsTheValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := hooked(t, CacheOptions[string, int]{TTL: time.Hour, StaleIfError: time.Hour, IdleTTL: time.Minute})
		time.Sleep(50 * time.Second)
		s.replace = func() { c.touch("k") }
		c.publishError(&flight[string, int]{key: "k", result: result[int]{loadErr: ErrNotLoaded}}, nil)
		time.Sleep(50 * time.Second)
		_, ok := c.Peek("k")
		require.True(t, ok)
		time.Sleep(10 * time.Second)
		c.touch("k") // by a Get that found it before its time was over
		_, ok = c.Peek("k")
		require.False(t, ok)
	})
}

// TestInvalidateAllDuringALoadThatBeginsLate: a load that begins while the entries are
// removed does not store the old value with its error.
func TestInvalidateAllDuringALoadThatBeginsLate(t *testing.T) {
	c, s := hooked(t, CacheOptions[string, int]{TTL: time.Hour, StaleIfError: time.Hour, OnRemove: func(string, int, RemoveCause) {}})
	s.yield = func() { _ = c.Refresh(context.Background(), "k") }
	c.InvalidateAll()
	_, ok := c.Entry("k")
	require.False(t, ok)
}

// TestRemovalOfAllIsOneStep: when it has begun, nothing older is returned, though not
// everything has been removed yet.
func TestRemovalOfAllIsOneStep(t *testing.T) {
	for name, removeAll := range map[string]func(c *Cache[string, int]){
		"InvalidateAll": (*Cache[string, int]).InvalidateAll,
		"Close":         func(c *Cache[string, int]) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c, s := hooked(t, CacheOptions[string, int]{TTL: time.Hour, OnRemove: func(string, int, RemoveCause) {}})
			yields := 0
			s.yield = func() {
				if yields++; yields == 1 {
					requireNothing(t, c)
				}
			}
			removeAll(c)
			require.NotZero(t, yields)
		})
	}
}

// requireNothing requires that nothing is returned for k, and nothing by All.
func requireNothing(t *testing.T, c *Cache[string, int]) {
	_, ok := c.Peek("k")
	require.False(t, ok)
	_, ok = c.Entry("k")
	require.False(t, ok)
	for key := range c.All() {
		require.Fail(t, "All", key)
	}
	_, err := c.Get(context.Background(), "k")
	require.Error(t, err)
	_, err = c.GetEntry(context.Background(), "k")
	require.Error(t, err)
}

// TestPutWhileInvalidateAllRemoves: the new value stays, and the old one has left because it
// was invalidated.
func TestPutWhileInvalidateAllRemoves(t *testing.T) {
	var told []string
	c, s := hooked(t, CacheOptions[string, int]{OnRemove: func(_ string, v int, cause RemoveCause) {
		told = append(told, fmt.Sprint(v, cause))
	}})
	s.yield = sync.OnceFunc(func() { c.Put("k", 2) })
	c.InvalidateAll()
	v, ok := c.Peek("k")
	require.True(t, ok)
	require.Equal(t, 2, v)
	require.Equal(t, []string{"1 invalidated"}, told)
}
