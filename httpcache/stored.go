package httpcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/httpcache/internal/rfc9111"
)

// There are four kinds of records in a Store. Their keys and heads are:
//
//	the page key   the rest of a response, whose body is the record's
//	the page key   a rule, in the place of a URL: see vary.go
//	markOf(uri)    a mark: an epoch, which each write to the page replaces
//	purgesKey      the log, of purges that have not been applied: see purgelog.go
//
// A response has the epoch that its page had when it was saved. If the page has another one, or
// none, the response may be older than a write.

// A record is what is saved as a head.
type record struct {
	Key       string   // of the record
	URI, Host string   // of the page, for purges
	Names     []string // if this is a rule
	Mark      string   // if this is a mark: the epoch

	Status          int
	Header, Trailer http.Header
	Above           string
	HasBody         bool
	Born, Received  time.Time
	Selected        string
	Tags            []string
	Since           int64  // when it was purged softly
	Epoch           string // of its page
	Run             string // of the cache that the tick Asked is of
	Asked           uint64
	Purges          []byte // if this is the log of purges
}

// headVersion comes before each head. Records of other versions count as absent.
const headVersion = "httpcache 1\n"

var errHead = errors.New("httpcache: a stored head is not valid")

func (h *record) encode() ([]byte, error) {
	b := bytes.NewBufferString(headVersion)
	err := gob.NewEncoder(b).Encode(h) // other than JSON, it takes all bytes that fields may have
	return b.Bytes(), err
}

// parseHead reads the head of the record that was found under key.
func parseHead(key string, p []byte) (*record, error) {
	p, ok := bytes.CutPrefix(p, []byte(headVersion))
	if !ok {
		return nil, errHead
	}
	h := new(record)
	if err := gob.NewDecoder(bytes.NewReader(p)).Decode(h); err != nil {
		return nil, fmt.Errorf("%w: %w", errHead, err)
	}
	if h.Key != key {
		return nil, errHead
	}
	return h, nil
}

// stored returns the key of the record at a place. It is the same in the next process.
func (k pageKey) stored() string {
	return short(fmt.Sprintf("%q", []string{k.front.site, k.method, k.scheme, k.host, k.uri, k.cookies, k.vary}))
}

// markOf returns the key of the mark of a page.
func markOf(uri string) string { return short("written " + uri) }

// maxStored is the length of the longest key in a Store. Clients choose how long the keys of
// pages are, and most Stores have a limit.
const maxStored = 1 << 10

// short returns key, or its hash if it is too long.
func short(key string) string {
	if len(key) <= maxStored {
		return key
	}
	return fmt.Sprintf("sha256 %x", sha256.Sum256([]byte(key)))
}

// headOf returns the head of e.
func (c *Cache) headOf(e *response, epoch string) *record {
	return &record{
		Key: e.home.stored(), URI: e.home.uri, Host: e.home.host,
		Status: e.status, Header: e.header, Trailer: e.trailer.known(), Above: e.above, HasBody: e.body != nil,
		Born: e.born, Received: e.received(), Selected: e.selected, Tags: e.tags,
		Since: e.since.Load(), Epoch: epoch, Run: c.storage.run, Asked: e.asked,
	}
}

// beforehand is the tick of what happened before the cache was made.
const beforehand = 1

// wasStored reports whether e has come from the Store.
func (e *response) wasStored() bool { return e.answered == beforehand }

// revive returns the response with the head h at a place, without its body. It returns nil if
// that cannot answer a.
func (f *front) revive(h *record, a *ask, place pageKey, seen *purge, now time.Time) *response {
	if h.Status < 200 || h.Header == nil || now.Before(h.Received) || h.Received.Before(h.Born) {
		return nil
	}
	e := &response{
		status: h.Status, header: f.withoutSetCookies(h.Header), above: h.Above, born: h.Born,
		asked: beforehand, answered: beforehand, selected: h.Selected, home: place, tags: h.Tags,
	}
	if h.Run == f.storage.run {
		e.asked = h.Asked
	}
	e.policy = f.policyOf(h, e.header)
	e.seen.Store(seen)
	e.since.Store(h.Since)
	var known bool
	e.vary, known = varyOf(e.header)
	if e.personal = e.policy.Personal || !known; e.personal || selecting(e.vary, a.Header) != e.selected {
		return nil
	}
	if a.credentials && !e.policy.ForAll || e.isRemoved() || e.isFailure(now) || e.keptFor(now) <= 0 {
		return nil
	}
	if len(h.Trailer) > 0 {
		e.trailer = &trailer{}
		e.trailer.fields.Store(&h.Trailer)
	}
	return e
}

// policyOf returns the policy of a stored response, by the present options.
func (f *front) policyOf(h *record, header http.Header) rfc9111.Policy {
	header = maps.Clone(header)
	age := h.Received.Sub(h.Born)
	header.Set("Age", strconv.FormatInt(int64(age/time.Second), 10))
	p := rfc9111.PolicyOf(h.Status, header, h.Received, h.Received, f.rules)
	p.Age = age
	return p
}

// ruleHead returns the head of the rule of a URL.
func ruleHead(url pageKey, names []string) *record {
	return &record{Key: url.stored(), URI: url.uri, Host: url.host, Names: names}
}

// isRule reports whether h is a valid rule.
func (h *record) isRule() bool {
	return len(h.Names) > 0 && len(h.Names) <= maxNames && !slices.ContainsFunc(h.Names, isPersonalField)
}

// siteOf returns the name of a front in the keys of its records. It is the same in the next
// process if the fronts are made in the same order.
func (c *Cache) siteOf(name string) string {
	if c.Private {
		name = "private " + name
	}
	c.sites.mu.Lock()
	defer c.sites.mu.Unlock()
	if c.sites.n == nil {
		c.sites.n = map[string]int{}
	}
	c.sites.n[name]++
	if n := c.sites.n[name]; n > 1 {
		name += " " + strconv.Itoa(n)
	}
	return strings.Clone(name)
}
