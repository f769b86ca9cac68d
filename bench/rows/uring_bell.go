package rows

import (
	"fmt"
	"time"
)

// A BellCase is one way to wake a task of a loop.
type BellCase struct {
	Doorbell string // eventfd, or msgring for a message to the ring
	// Target is what the loop does when it is woken. An awake loop runs another
	// task all the time, a spinning one looks for mail, and an asleep one is
	// blocked in the kernel.
	Target string
	// Waker is what wakes the loop: a goroutine, a loop, or a loop with work, which
	// has an operation to submit at that moment.
	Waker string
	// Place is same, if both threads share a processor, or other.
	Place string
	// Rest is how long the loop has been asleep. Within 20 to 150 microseconds the
	// Go scheduler may be taking its processor (its P) away, and the wake waits for
	// that. Later the wake finds an idle processor.
	Rest time.Duration
}

// TargetName returns what the loop does, and for how long if that matters.
func (c BellCase) TargetName() string {
	if c.Target != asleep {
		return c.Target
	}
	return fmt.Sprintf("%s %d µs", c.Target, c.Rest.Microseconds())
}

// A BellSample is what a wake costs, in nanoseconds.
type BellSample struct {
	Call      float64 // median of the waker's own call
	P50, P99  float64 // from before that call until the task runs
	Doorbells float64 // system calls made to wake the loop, per wake
	Enters    float64 // system calls of the waker's loop, per wake
}

// The values of a BellCase.
const (
	eventFD       = "eventfd"
	msgRing       = "msgring"
	awake         = "awake"
	asleep        = "asleep"
	spinning      = "spinning"
	byGoroutine   = "goroutine"
	byLoop        = "loop"
	byWorkingLoop = "loop with work"
	onSame        = "same"
	onOther       = "other"
)

// Rests are how long loops sleep before they are woken.
func Rests() []time.Duration { return []time.Duration{50 * time.Microsecond, 500 * time.Microsecond} }

// BellCases are all cases, on two processors.
func BellCases() (cases []BellCase) {
	for _, bell := range []string{eventFD, msgRing} {
		for _, target := range []string{awake, asleep, spinning} {
			for _, waker := range []string{byGoroutine, byLoop, byWorkingLoop} {
				if target != asleep {
					cases = append(cases, BellCase{bell, target, waker, onOther, 0})
					continue
				}
				for _, rest := range Rests() {
					cases = append(cases, BellCase{bell, target, waker, onOther, rest})
				}
			}
		}
	}
	return cases
}
