package enginetest

import (
	"context"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A View is the state of a bucket as a watcher knows it. It checks that what it is told
// keeps the contract.
type View struct {
	t  *testing.T
	mu sync.Mutex

	Position engine.Position
	State    map[string]engine.Entry
	Partial  bool // between Reset or Skipped and Synced
	Synced   int  // events
	Resets   int
	Skips    int
	Told     int // puts and deletions
	Before   func(engine.Event)

	lowest map[string]uint64 // by key: no older revision may be told
	again  map[string]engine.Entry
	log    []moment
	moved  *sync.Cond
}

// A moment is the state of the bucket at a revision.
type moment struct {
	at    engine.Position
	state map[string]engine.Entry
}

func newView(t *testing.T) *View {
	v := &View{t: t, State: map[string]engine.Entry{}, lowest: map[string]uint64{}}
	v.moved = sync.NewCond(&v.mu)
	return v
}

// watch runs Watch in a goroutine until the test ends, and returns what it tells.
func watch(t *testing.T, e engine.Engine, from engine.Position) *View {
	v := newView(t)
	v.Position = from
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := e.Watch(ctx, from, v.Tell)
		assert.True(t, err != nil, "Watch ends with an error")
	}()
	t.Cleanup(func() { cancel(); <-done })
	return v
}

// Tell is the function that Watch calls.
func (v *View) Tell(event engine.Event) {
	if v.Before != nil {
		v.Before(event)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.moved.Broadcast()
	switch event.Kind {
	case engine.Reset:
		v.reset(event)
	case engine.Skipped:
		assert.False(v.t, v.Partial, "Skipped while partial")
		v.Skips++
		v.Partial = true
	case engine.Synced:
		v.synced(event)
	case engine.Put, engine.Delete:
		v.change(event)
	default:
		assert.Fail(v.t, "no kind", "%v", event)
	}
}

func (v *View) reset(event engine.Event) {
	assert.NotEmpty(v.t, event.History)
	if event.History != v.Position.History {
		clear(v.lowest)
	}
	v.Resets++
	v.Position = engine.Position{History: event.History}
	v.Partial = true
	v.again = map[string]engine.Entry{}
}

func (v *View) synced(event engine.Event) {
	assert.GreaterOrEqual(v.t, event.Revision, v.Position.Revision)
	v.Position.Revision = event.Revision
	v.Synced++
	v.Partial = false
	if v.again != nil {
		v.State, v.again = v.again, nil
	}
	v.note()
}

func (v *View) change(event engine.Event) {
	assert.Greater(v.t, event.Revision, v.Position.Revision)
	if v.again == nil {
		assert.Greater(v.t, event.Revision, v.lowest[event.Key], "%q goes back", event.Key)
	}
	v.Position.Revision, v.lowest[event.Key] = event.Revision, max(event.Revision, v.lowest[event.Key])
	v.Told++
	state := v.State
	if v.again != nil {
		state = v.again
	}
	if event.Kind == engine.Put {
		state[event.Key] = engine.Entry{Value: event.Value, Revision: event.Revision}
	} else {
		assert.Empty(v.t, event.Value)
		delete(state, event.Key)
	}
	v.note()
}

func (v *View) note() {
	if !v.Partial {
		v.log = append(v.log, moment{v.Position, maps.Clone(v.State)})
	}
}

// wait waits until the condition is true.
func (v *View) wait(condition func() bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for !condition() {
		v.moved.Wait()
	}
}

// until waits until the view has that revision.
func (v *View) until(revision uint64) {
	v.wait(func() bool { return !v.Partial && v.Position.Revision >= revision })
}

// has waits until the view is what the bucket is, and returns it.
func (v *View) has(e engine.Engine) map[string]string {
	p, err := e.Position(context.Background())
	require.NoError(v.t, err)
	v.wait(func() bool { return !v.Partial && v.Position.History == p.History && v.Position.Revision >= p.Revision })
	v.mu.Lock()
	defer v.mu.Unlock()
	values := map[string]string{}
	for key, entry := range v.State {
		values[key] = string(entry.Value)
	}
	return values
}
