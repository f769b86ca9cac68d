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
	// storeTime is for a Store to find what it is asked for, and then for each
	// piece of a body. What takes longer counts as absent.
	storeTime = 2 * time.Second

	// storeClose is how long Close waits for what is being saved.
	storeClose = 5 * time.Second

	// maxCalls is how many calls are under way at once for which users wait. Others wait.
	maxCalls = 64

	// maxSaves is how many responses wait to be saved. More are not saved.
	maxSaves = 1 << 10
)

// A storage is a Store as a cache uses it: nobody waits for it for long, whatever
// its methods do. They are called in goroutines of their own, which are waited
// for; one that is stuck stays behind.
//
//	users  load     until one of these is stuck: then nothing is loaded
//	       written  or else in the backlog
//	       record   see purgelog.go
//	saver  saves    dropped if too many wait
//	       backlog  not dropped: see backlog.go
type storage struct {
	Store
	*Cache
	run string // tells this process from others

	recalls dedup.Group[pageKey, *response] // of users that no fetch is for

	places chan struct{} // the places of calls that users wait for
	stuck  atomic.Int64  // those that nobody waits for any more

	ready chan struct{} // closed once the log was looked for
	log   purgeLog

	saves   chan save
	backlog backlog
	swept   atomic.Pointer[purge] // the last one that has reached the Store
	closed  chan struct{}         // the saver is to finish
	over    chan struct{}         // and not even that
	done    chan struct{}         // it has

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

// close waits until what is queued is saved, or for storeClose.
func (s *storage) close() {
	if s == nil {
		return
	}
	close(s.closed)
	limit := time.AfterFunc(storeClose, func() {
		s.Logger.Error("httpcache: the store took too long, some of what was to be saved is not")
		close(s.over)
	})
	defer limit.Stop()
	<-s.done
	for range cap(s.places) { // until all are over
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

// A userCall is a call for which users wait, and the place that it has. While the Store is
// waited for, its alarm is set.
type userCall struct {
	storage *storage
	state   atomic.Int32
	alarm   *time.Timer
}

const (
	callRuns = iota
	callLeft // nobody waits for it
	callEnded
)

// newCall waits until a call may begin. It returns nil if that takes too long, or a call is
// stuck.
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

// leave counts a call that does not return.
func (c *userCall) leave() {
	if c.state.CompareAndSwap(callRuns, callLeft) {
		c.storage.stuck.Add(1)
		c.storage.note(errStuck)
	}
}

func (c *userCall) end() {
	c.alarm.Stop()
	if !c.state.CompareAndSwap(callRuns, callEnded) {
		c.storage.stuck.Add(-1)
	}
	<-c.storage.places
}

// soon calls the Store by do, for a user: it waits for storeTime at most, and then do goes on.
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

// load returns what is stored under key, or nil. Its body is to be closed.
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

// run calls the Store, and then hands its body on. found is told, or closed.
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
		err = nil // the rest is not wanted
	}
}

// timed is a body that is read in a call.
type timed struct {
	call *userCall
	body io.Reader
}

func (t timed) Read(p []byte) (int, error) {
	t.call.expect()
	defer t.call.relax()
	return t.body.Read(p)
}

// loadHead is load for records without a body.
func (s *storage) loadHead(ctx context.Context, key string) *record {
	l := s.load(ctx, key)
	if l == nil {
		return nil
	}
	l.body.Close()
	return l.record
}

// sites count the fronts of a name.
type sites struct {
	mu sync.Mutex
	n  map[string]int
}
