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

	// maxLoads is how many responses are loaded at once. Others wait.
	maxLoads = 64

	// maxSaves is how many responses wait to be saved. More are not saved.
	maxSaves = 1 << 10
)

// A storage is a Store as a cache uses it: nobody waits for it for long, whatever
// its methods do. They are called in goroutines of their own, which are waited
// for; one that is stuck stays behind.
//
//	users  load    until a load is stuck: then nothing is loaded
//	saver  saves   dropped if too many wait
//	       backlog not dropped: see backlog.go
type storage struct {
	Store
	*Cache
	run string // tells this process from others

	recalls dedup.Group[pageKey, *response] // of users that no fetch is for

	loads chan struct{} // the places of loads that are under way
	stuck atomic.Int64  // loads that nobody waits for any more

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
		Store: c.Options.Store, Cache: c, run: rand.Text(), loads: make(chan struct{}, maxLoads),
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
	for range maxLoads { // until all loads are over
		select {
		case s.loads <- struct{}{}:
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
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: it panicked: %v", errStore, p)
			}
			done <- err
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

// A loading is one record that is being read.
type loading struct {
	storage *storage
	record  *record
	size    int64
	body    *io.PipeReader
	state   atomic.Int32
}

const (
	loadRuns = iota
	loadLeft // nobody waits for it
	loadEnded
)

// leave counts a call that does not return.
func (l *loading) leave() {
	if l.state.CompareAndSwap(loadRuns, loadLeft) {
		l.storage.stuck.Add(1)
		l.storage.note(errStuck)
	}
}

func (l *loading) end() {
	if !l.state.CompareAndSwap(loadRuns, loadEnded) {
		l.storage.stuck.Add(-1)
	}
	<-l.storage.loads
}

// load returns what is stored under key, or nil. Its body is to be closed.
func (s *storage) load(ctx context.Context, key string) *loading {
	if s.stuck.Load() > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	select {
	case s.loads <- struct{}{}:
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return nil
	}
	l, found := &loading{storage: s}, make(chan bool)
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
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: it panicked: %v", errStore, p)
		}
		l.storage.note(err)
		out.CloseWithError(err)
	}()
	p, body, size, lost := l.storage.Store.Load(key)
	if lost != nil {
		err = lost
		return
	}
	defer body.Close()
	l.size = size
	if l.record, err = parseHead(key, p); err != nil {
		l.storage.backlog.drop(key)
		return
	}
	select {
	case found <- true:
	case <-ctx.Done():
		return
	}
	err = errStore
	if _, err = io.Copy(out, body); errors.Is(err, io.ErrClosedPipe) {
		err = nil // the rest is not wanted
	}
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
