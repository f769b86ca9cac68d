package rows

// A BellCase is one way to wake a task of a loop.
type BellCase struct {
	Doorbell string // eventfd, or msgring: a message to the ring
	// Target is what the loop does meanwhile: awake, it runs another task
	// all the time; spinning, it looks for mail; asleep, it is blocked in
	// the kernel.
	Target string
	// Waker is who wakes it: a goroutine, a loop, or a loop with work, which
	// has an operation to submit at that moment.
	Waker string
	// Place is same, if both threads share a processor, or other.
	Place string
}

// A BellSample is what a wake costs, in nanoseconds.
type BellSample struct {
	Call     float64 // median of the waker's own call
	P50, P99 float64 // from before that call until the task runs
	Rings    float64 // system calls made to wake the loop, per wake
	Enters   float64 // system calls of the waker's loop, per wake
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

// BellCases are all, on two processors.
func BellCases() (cases []BellCase) {
	for _, bell := range []string{eventFD, msgRing} {
		for _, target := range []string{awake, asleep, spinning} {
			for _, waker := range []string{byGoroutine, byLoop, byWorkingLoop} {
				cases = append(cases, BellCase{bell, target, waker, onOther})
			}
		}
	}
	return cases
}
