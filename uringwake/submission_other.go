//go:build !linux

package uringwake

import (
	"context"
	"iter"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// submissionState is a Submission whose operation was not started.
type submissionState struct{ p []byte }

func start(ctx context.Context, op Op) *Submission {
	if op.kind == noKind {
		panic("uringwake: Start of the zero Op")
	}
	waitq.MustContext(ctx, "uringwake")
	return &Submission{submissionState{op.p}}
}

func (s *submissionState) look() (Result, bool) { return Result{Buf: s.p, Err: errNoRing}, true }
func (s *submissionState) cancel()              {}

func (s *submissionState) wait(ctx context.Context) (Result, error) {
	waitq.MustContext(ctx, "uringwake")
	return Result{Buf: s.p, Err: errNoRing}, errNoRing
}

func (s *submissionState) register(w wake.Waker) wake.Registration {
	if w != nil {
		w.Wake()
	}
	return woken{}
}

// fixedState is what no ring has registered.
type fixedState struct{}

func (*fixedState) mustBeMade(string, string) {}
func (*fixedState) shut() error               { return errNoRing }

func registerFile(context.Context, int) (*FixedFile, error)        { return nil, errNoRing }
func registerBuffer(context.Context, []byte) (*FixedBuffer, error) { return nil, errNoRing }

// woken is the registration of a waker that was called.
type woken struct{}

func (woken) Stop() bool { return false }

func acceptAll(context.Context, int) iter.Seq2[int, error]          { return noneOf[int] }
func recvAll(context.Context, int) iter.Seq2[[]byte, error]         { return noneOf[[]byte] }
func pollAll(context.Context, int, uint32) iter.Seq2[uint32, error] { return noneOf[uint32] }
func ticks(context.Context, time.Duration) iter.Seq2[int, error]    { return noneOf[int] }

func noneOf[T any](yield func(T, error) bool) {
	var none T
	yield(none, errNoRing)
}
