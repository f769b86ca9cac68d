package await

import (
	"runtime"
	"strings"
	"time"

	"github.com/vigil-go/vigil/internal/monotime"
)

// A Holder describes the goroutine or task that holds a [Mutex]: since when, and where it
// was locked.
type Holder struct {
	Since time.Time // when it got the lock

	// Where it called Lock, TryLock or Select. Func is empty if that is not known: it was
	// in line before RecordHolder was called.
	Func string
	File string
	Line int
}

// RecordHolder sets whether m records its holder, for [Mutex.Holder]. That is for
// debugging: while it is on, every call takes a lock, and getting m also costs a walk
// over the stack and an allocation. It may be called at any time, also while m is locked.
func (m *Mutex) RecordHolder(on bool) {
	m.s.lock(1)
	defer m.s.mu.Unlock()
	if on == (m.s.holder != nil) {
		return
	}
	if on {
		m.s.word.Or(slow)
		m.s.holder = new(holding)
	} else {
		m.s.holder = nil
		m.s.word.And(^slow)
	}
}

// Holder returns the holder of m. ok is false if m is not locked, or if the holder got it
// while holders were not recorded.
func (m *Mutex) Holder() (h Holder, ok bool) {
	m.s.mu.Lock()
	var now holding
	if m.s.holder != nil {
		now = *m.s.holder
	}
	m.s.mu.Unlock()
	if !now.held {
		return h, false
	}
	h.Since = monotime.Time(now.since)
	now.by.describe(&h)
	return h, true
}

// A holding is a holder as sema.mu guards it.
type holding struct {
	held  bool
	since int64
	by    *stack // nil if it is not known
}

// A stack is the innermost callers of a call, the package's own among them.
type stack [16]uintptr

// caller returns the callers of the current call, or nil if holders are not recorded. mu
// is locked.
func (s *sema) caller() *stack {
	if s.holder == nil {
		return nil
	}
	return newStack()
}

//go:noinline
func newStack() *stack {
	by := new(stack)
	runtime.Callers(3, by[:])
	return by
}

// taken records that the permit was taken. mu is locked.
func (s *sema) taken(by *stack) {
	if s.holder != nil {
		*s.holder = holding{true, monotime.Now(), by}
	}
}

// freed records that the permit was given back. mu is locked.
func (s *sema) freed() {
	if s.holder != nil {
		*s.holder = holding{}
	}
}

// own are the packages whose functions are between the user's call and a lock.
var own = [...]string{
	"github.com/vigil-go/vigil/await.",
	"github.com/vigil-go/vigil/internal/waitq.",
}

// describe sets where the innermost caller outside of the module's packages was.
func (by *stack) describe(h *Holder) {
	if by == nil {
		return
	}
	for frames, more := runtime.CallersFrames(by[:]), true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); f.Function != "" && !isOwn(f.Function) {
			h.Func, h.File, h.Line = f.Function, f.File, f.Line
			return
		}
	}
}

func isOwn(function string) bool {
	for _, pkg := range own {
		if strings.HasPrefix(function, pkg) {
			return true
		}
	}
	return false
}
