package uringwake

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// resolveDoorbell returns the kind of doorbell that asked is on this kernel, and
// whether messages can be sent without a ring.
func resolveDoorbell(asked Doorbell) (kind Doorbell, sendMsg bool, err error) {
	if asked == DoorbellAuto {
		asked = fasterDoorbell()
	}
	if asked == DoorbellEventFD {
		return asked, false, nil
	}
	if err := HaveMsgRing(); err != nil {
		return DoorbellEventFD, false, inconclusive(err)
	}
	err = HaveSendMsgRing()
	return asked, err == nil, inconclusive(err)
}

var faster struct {
	sync.Mutex
	doorbell Doorbell // DoorbellAuto until it is known
}

// fasterDoorbell measures both kinds once per process, on a ring of its own.
// Failures are not remembered.
func fasterDoorbell() Doorbell {
	faster.Lock()
	defer faster.Unlock()
	if faster.doorbell == DoorbellAuto {
		faster.doorbell = compareDoorbells()
	}
	return max(faster.doorbell, DoorbellEventFD)
}

func compareDoorbells() Doorbell {
	if err := HaveSendMsgRing(); inconclusive(err) != nil {
		return DoorbellAuto
	} else if err != nil {
		return DoorbellEventFD
	}
	switch event, message, err := measureDoorbells(); {
	case err != nil:
		return DoorbellAuto
	case message < event:
		return DoorbellMsgRing
	}
	return DoorbellEventFD
}

// measureDoorbells returns what a signal of either kind costs the caller if the
// loop does not sleep: the median of several rounds, interleaved.
func measureDoorbells() (event, message time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const rounds, signals = 7, 32
	r, err := setupOwned(8, 4*signals)
	if err != nil {
		return 0, 0, err
	}
	var b bell
	if err := b.open(r.FD(), DoorbellMsgRing, true); err != nil {
		return 0, 0, errors.Join(err, r.Close())
	}
	defer b.close()
	defer r.Close()
	r.SQ().GetSQE().PrepPollMultishot(b.eventFD, unix.POLLIN)
	var events, messages []time.Duration
	for range rounds {
		for _, m := range []struct {
			times   *[]time.Duration
			sendMsg bool
		}{{&events, false}, {&messages, true}} {
			b.sendMsg = m.sendMsg
			start := time.Now()
			for range signals {
				b.signal()
			}
			*m.times = append(*m.times, time.Since(start)/signals)
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
