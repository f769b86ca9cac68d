package uringwake

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// measureDoorbells gives what one ring costs whoever makes it, by either kind,
// into a ring that does not sleep: the median of several rounds, interleaved.
func measureDoorbells() (event, message time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const rounds, rings = 7, 32
	r, err := setupOwned(8, 4*rings)
	if err != nil {
		return 0, 0, err
	}
	var b bell
	if err := b.open(r.FD(), DoorbellMsgRing); err != nil {
		return 0, 0, errors.Join(err, r.Close())
	}
	defer b.close()
	defer r.Close()
	r.SQ().GetSQE().PrepPollMultishot(b.eventFD, unix.POLLIN)
	var events, messages []time.Duration
	for range rounds {
		for _, m := range []struct {
			times  *[]time.Duration
			direct bool
		}{{&events, false}, {&messages, true}} {
			b.direct = m.direct
			start := time.Now()
			for range rings {
				b.ring()
			}
			*m.times = append(*m.times, time.Since(start)/rings)
			if _, err := r.SQ().SubmitAndGetEvents(); err != nil {
				return 0, 0, err
			}
			r.CQ().Advance(r.CQ().Ready())
		}
	}
	slices.Sort(events)
	slices.Sort(messages)
	return events[rounds/2], messages[rounds/2], nil
}
