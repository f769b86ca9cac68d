package cluster_test

import (
	"context"
	"sync"
	"testing"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
)

// A fake is an engine that tells what the test says.
type fake struct {
	write  func(ctx context.Context, w engine.Write) (uint64, error)
	events chan engine.Event
	closed chan struct{}

	mu   sync.Mutex
	at   engine.Position
	from []engine.Position // of the calls of Watch
}

// newFake returns a Bucket that has seen revision 0 of an empty history.
func newFake(t *testing.T) (*fake, *cluster.Bucket) {
	f := &fake{events: make(chan engine.Event), closed: make(chan struct{}), at: engine.Position{History: "1"}}
	go f.tell(engine.Event{Kind: engine.Reset, History: "1"}, engine.Event{Kind: engine.Synced})
	return f, newBucket(t, f)
}

// tell tells events, and returns when all of them have been taken by the Watch.
func (f *fake) tell(all ...engine.Event) {
	for _, event := range all {
		f.mu.Lock()
		if event.Kind == engine.Reset && event.History != f.at.History {
			f.at = engine.Position{History: event.History}
		}
		f.at.Revision = max(f.at.Revision, event.Revision)
		f.mu.Unlock()
		f.events <- event
	}
}

// put returns the event of a put of a value of the Map without a name.
func putEvent(revision uint64, key, value string) engine.Event {
	return engine.Event{Kind: engine.Put, Key: "m\x00" + key, Value: []byte(value), Revision: revision}
}

func deleteEvent(revision uint64, key string) engine.Event {
	return engine.Event{Kind: engine.Delete, Key: "m\x00" + key, Revision: revision}
}

func synced(revision uint64) engine.Event {
	return engine.Event{Kind: engine.Synced, Revision: revision}
}

func (f *fake) Watch(ctx context.Context, from engine.Position, tell func(engine.Event)) error {
	f.mu.Lock()
	f.from = append(f.from, from)
	f.mu.Unlock()
	for {
		select {
		case event := <-f.events:
			tell(event)
		case <-ctx.Done():
			return engine.ContextError(ctx)
		case <-f.closed:
			return engine.ErrClosed
		}
	}
}

func (f *fake) Write(ctx context.Context, w engine.Write) (uint64, error) { return f.write(ctx, w) }

func (f *fake) Position(ctx context.Context) (engine.Position, error) {
	if ctx.Err() != nil {
		return engine.Position{}, engine.ContextError(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, nil
}

func (f *fake) Get(context.Context, string, uint64) (e engine.Entry, ok bool, err error) {
	panic("not used")
}

func (f *fake) Close() error {
	close(f.closed)
	return nil
}
