package rows

import (
	"runtime"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake/ring"
)

const nopEntries = 256

// nopRing is a ring like the C program's: kernels without NO_SQARRAY set up one
// with the array. It belongs to the calling thread.
func nopRing() (*ring.Ring, error) {
	const deferred = ring.SetupDeferTaskrun | ring.SetupSingleIssuer
	r, err := ring.Setup(nopEntries, &ring.Params{Flags: deferred | ring.SetupNoSQArray})
	if err == nil {
		return r, nil
	}
	return ring.Setup(nopEntries, &ring.Params{Flags: deferred})
}

func tryRing() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := nopRing()
	if err != nil {
		return err
	}
	return r.Close()
}

// nopSlice runs for about the slice on a thread of its own and with a new ring. As
// in C the number of turns is fixed by a first tenth, which also warms up.
func nopSlice(n nops, slice time.Duration) measure.Sample {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := nopRing()
	mustNot(err)
	defer func() { mustNot(r.Close()) }()
	turns, start := 0, time.Now()
	for turns == 0 || time.Since(start) < slice/10 {
		n.turns(r, 16)
		turns += 16
	}
	turns = max(int(float64(turns)*float64(slice)/float64(time.Since(start))), 1)
	return measure.Once(turns*n.batch, func() { n.turns(r, turns) })
}

func (n nops) turns(r *ring.Ring, turns int) {
	for range turns {
		n.turn(r)
	}
}

func (n nops) turn(r *ring.Ring) {
	sq := r.SQ()
	for range n.batch {
		sq.GetSQE().PrepNop()
	}
	var err error
	if n.wait {
		_, err = sq.SubmitAndWait(uint32(n.batch))
	} else {
		_, err = sq.SubmitAndGetEvents()
	}
	mustNot(err)
	seen := 0
	for c := range r.CQ().All() {
		mustNot(c.Err())
		seen++
	}
	if seen != n.batch {
		panic("rows: completions are missing")
	}
}
