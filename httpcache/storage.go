package httpcache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

const (
	// storeTime is the time within which a Store must find a record, and then send each
	// piece of its body. A record that takes longer counts as absent.
	storeTime = 2 * time.Second

	// storeClose is the time for which Close waits for the saver.
	storeClose = 5 * time.Second

	// maxCalls is the maximum number of user calls at once. Further ones wait.
	maxCalls = 64

	// maxSaves is the maximum number of responses that wait to be saved. Further ones are
	// not saved.
	maxSaves = 1 << 10
)

// A storage is a Store as a cache uses it: whatever its methods do, no request waits for it for
// long. They are called in goroutines of their own. If a call takes too long, its goroutine is
// left behind. These call the Store:
//
//	requests   load     if a call is stuck, nothing is loaded
//	           written  if it fails, the backlog has the marks
//	Purge      record   see purgelog.go
//	the saver  saves    if too many wait, some are dropped
//	           backlog  none is dropped; see backlog.go
type storage struct {
	Store
	*Cache
	run string // a random name of this Cache

	recalls dedup.Group[pageKey, *response] // of requests that no fetch answers

	places chan struct{} // has an element for each user call
	stuck  atomic.Int64  // how many of them have taken too long

	ready chan struct{} // closed when the first readLog has ended
	log   purgeLog

	saves   chan save
	backlog backlog
	swept   atomic.Pointer[purge] // the last purge that was applied to all records
	closed  chan struct{}         // closed when the saver shall finish
	over    chan struct{}         // closed when the time for that is over
	done    chan struct{}         // closed when the saver has ended

	hits, saved, dropped, failed atomic.Uint64
	failing                      atomic.Bool
}

func newStorage(c *Cache) *storage {
	s := &storage{
		Store: c.Options.Store, Cache: c, run: rand.Text(), places: make(chan struct{}, maxCalls), ready: make(chan struct{}),
		log:   purgeLog{writing: make(chan struct{}, 1)},
		saves: make(chan save, maxSaves), backlog: newBacklog(),
		closed: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{}),
	}
	s.swept.Store(c.purges.last.Load())
	go s.work()
	return s
}

// close waits until all that is queued is saved, for at most storeClose.
func (s *storage) close() {
	if s == nil {
		return
	}
	close(s.closed)
	limit := time.AfterFunc(storeClose, func() {
		s.Logger.Error("httpcache: the store took too long, so some responses are not saved")
		close(s.over)
	})
	defer limit.Stop()
	<-s.done
	for range cap(s.places) { // until no user call is left
		select {
		case s.places <- struct{}{}:
		case <-s.over:
			return
		}
	}
}

var (
	errStuck = errors.New("the store took too long")
	errStore = errors.New("the store did not return")
)

// call calls the Store by do, and waits for that, unless the time of close is over.
func (s *storage) call(do func() error) error {
	if s.isOver() {
		return errStuck
	}
	done := make(chan error, 1)
	go func() {
		err := errStore
		defer func() {
			done <- recovered(recover(), err)
		}()
		err = do()
	}()
	select {
	case err := <-done:
		s.note(err)
		return err
	case <-s.over:
		return errStuck
	}
}

// isOver reports whether the time of close is over.
func (s *storage) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// note counts failures, and logs the first of several.
func (s *storage) note(err error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		s.failing.Store(false)
		return
	}
	s.failed.Add(1)
	if !s.failing.Swap(true) {
		s.Logger.Error("httpcache: the store failed", "error", err)
	}
}

// A userCall is a call for which a request or a Purge waits. It has an element in places. While
// the Store is waited for, its alarm is set.
type userCall struct {
	storage *storage
	state   atomic.Int32
	alarm   *time.Timer
}

const (
	callRuns = iota
	callLeft // it has taken too long
	callEnded
)

// newCall waits until a user call may begin. It returns nil if that takes too long, or a call
// is stuck.
func (s *storage) newCall(ctx context.Context) *userCall {
	if s.stuck.Load() > 0 {
		return nil
	}
	select {
	case s.places <- struct{}{}:
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return nil
	}
	c := &userCall{storage: s}
	c.alarm = time.AfterFunc(storeTime, c.leave)
	return c
}

func (c *userCall) expect() { c.alarm.Reset(storeTime) }
func (c *userCall) relax()  { c.alarm.Stop() }

// leave counts the call as stuck. When it returns, the call is counted, whether this leave or
// that of the alarm has done it.
func (c *userCall) leave() {
	c.storage.stuck.Add(1)
	if !c.state.CompareAndSwap(callRuns, callLeft) {
		c.storage.stuck.Add(-1)
		return
	}
	c.storage.note(errStuck)
}

func (c *userCall) end() {
	c.alarm.Stop()
	if !c.state.CompareAndSwap(callRuns, callEnded) {
		c.storage.stuck.Add(-1)
	}
	<-c.storage.places
}

// soon calls the Store by do, as a user call. After storeTime it returns, and do goes on.
func (s *storage) soon(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	c := s.newCall(ctx)
	if c == nil {
		return errStuck
	}
	done := make(chan error, 1)
	go func() {
		err := errStore
		defer func() {
			err = recovered(recover(), err)
			s.note(err)
			c.end()
			done <- err
		}()
		err = do()
	}()
	select {
	case err := <-done:
		return err
	case <-s.over:
		return errStuck
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.leave()
		}
		return ctx.Err()
	}
}

// recovered returns the error of a call that may have panicked.
func recovered(p any, err error) error {
	if p != nil {
		return fmt.Errorf("%w: it panicked: %v", errStore, p)
	}
	return err
}

// A loading is one record that is being read.
type loading struct {
	*userCall
	record *record
	size   int64
	body   *io.PipeReader
}

// load returns the record that is stored under key, or nil. The caller closes its body.
func (s *storage) load(ctx context.Context, key string) *loading {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	c := s.newCall(ctx)
	if c == nil {
		return nil
	}
	l, found := &loading{userCall: c}, make(chan bool)
	go l.run(ctx, key, found)
	select {
	case ok := <-found:
		if !ok {
			return nil
		}
		return l
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			l.leave()
		}
		return nil
	}
}

// run loads the record, and then copies its body to the pipe. It sends true to found, or closes
// it if there is no record.
func (l *loading) run(ctx context.Context, key string, found chan<- bool) {
	var err error = errStore
	var out *io.PipeWriter
	l.body, out = io.Pipe()
	defer l.end()
	defer close(found)
	defer func() {
		err = recovered(recover(), err)
		l.storage.note(err)
		out.CloseWithError(err)
	}()
	p, body, size, lost := l.storage.Store.Load(key)
	if lost != nil {
		err = lost
		return
	}
	defer body.Close()
	defer l.expect()
	l.size = size
	if l.record, err = parseHead(key, p); err != nil {
		l.storage.backlog.drop(key)
		return
	}
	l.relax()
	select {
	case found <- true:
	case <-ctx.Done():
		return
	}
	err = errStore
	if _, err = io.Copy(out, timed{l.userCall, body}); errors.Is(err, io.ErrClosedPipe) {
		err = nil // the caller has closed the body
	}
}

// A timed is the body of a Store, each read of which must end within storeTime.
type timed struct {
	call *userCall
	body io.Reader
}

func (t timed) Read(p []byte) (int, error) {
	t.call.expect()
	defer t.call.relax()
	return t.body.Read(p)
}

// loadHead returns the head of the record that is stored under key, or nil.
func (s *storage) loadHead(ctx context.Context, key string) *record {
	l := s.load(ctx, key)
	if l == nil {
		return nil
	}
	l.body.Close()
	return l.record
}

// sites counts the fronts of each name.
type sites struct {
	mu sync.Mutex
	n  map[string]int
}
