package notify_test

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
)

// These Notifys are broken on purpose, each in one way.
var broken = map[string]func(*notify.Notify) bell{
	"hands on what NotifyN gave":       func(n *notify.Notify) bell { return allForOne{n} },
	"hands on what NotifyWaiters gave": func(n *notify.Notify) bell { return allForAll{n} },
	"drops what NotifyOne gave":        func(n *notify.Notify) bell { return oneForNobody{n} },
	"drops what NotifyLast gave":       func(n *notify.Notify) bell { return lastForNobody{n} },
}

type allForOne struct{ *notify.Notify }

func (b allForOne) NotifyN(k int) int { return oneByOne(b.Notify, k) }

type allForAll struct{ *notify.Notify }

func (b allForAll) NotifyWaiters() int { return oneByOne(b.Notify, b.Waiters()) }

// oneByOne picks with NotifyOne, which differs only if a waiter leaves.
func oneByOne(n *notify.Notify, k int) (woken int) {
	for k = min(k, n.Waiters()); woken < k; woken++ {
		n.NotifyOne()
	}
	return woken
}

type oneForNobody struct{ *notify.Notify }

// NotifyOne picks with NotifyN, which differs only if the waiter leaves.
func (b oneForNobody) NotifyOne() {
	if b.NotifyN(1) == 0 {
		b.Notify.NotifyOne()
	}
}

type lastForNobody struct{ *notify.Notify }

func (b lastForNobody) NotifyLast() {
	if b.Waiters() != 1 || b.NotifyN(1) == 0 {
		b.Notify.NotifyLast()
	}
}

// A verdict is a require.TestingT that records whether a script failed.
type verdict struct{ failed bool }

func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) FailNow()              { runtime.Goexit() }

// TestModelConvictsBroken: the model distinguishes a wake that is handed on from one that
// is dropped, and notices a Notify that confuses them.
func TestModelConvictsBroken(t *testing.T) {
	for name, breakIt := range broken {
		t.Run(name, func(t *testing.T) {
			const enough = 2000
			for seed := range uint64(enough) {
				if convicts(t, breakIt(new(notify.Notify)), randomScript(seed)) {
					t.Logf("convicted by seed %d", seed)
					return
				}
			}
			require.Fail(t, "acquitted")
		})
	}
}

// convicts reports whether the model and n differ on the script.
func convicts(t *testing.T, n bell, script []byte) bool {
	var v verdict
	synctest.Test(t, func(*testing.T) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runScript(&v, n, script)
		}()
		<-done
	})
	return v.failed
}
