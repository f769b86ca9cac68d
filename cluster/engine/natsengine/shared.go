package natsengine

import (
	"context"
	"errors"
	"sync/atomic"
)

// A shared is a question that many ask at a time, and its last answer. An answer counts for a
// call if it was asked for after the call had begun.
type shared[T any] struct {
	turn  chan struct{} // full while somebody asks
	begun atomic.Uint64 // the number of the last time that somebody began to ask

	// Only for the call that has the turn.
	newest uint64 // the number of the last time that there was an answer
	answer T
}

func newShared[T any]() *shared[T] { return &shared[T]{turn: make(chan struct{}, 1)} }

var errNoTurn = errors.New("cluster: the context has ended before another call had its answer")

// do returns an answer that was asked for since the call: that of another call, or else that of
// ask. It returns errNoTurn if ctx ends while another call asks. An error is not shared, because
// it may be that of a context.
func (s *shared[T]) do(ctx context.Context, ask func() (T, error)) (answer T, err error) {
	before := s.begun.Load()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return answer, errNoTurn
	}
	defer func() { <-s.turn }()
	if s.newest > before {
		return s.answer, nil
	}
	number := s.begun.Add(1)
	if answer, err = ask(); err == nil {
		s.newest, s.answer = number, answer
	}
	return answer, err
}
