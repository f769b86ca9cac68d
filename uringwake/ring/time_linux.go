package ring

import "time"

// A Timespec is a duration or a point in time, as the kernel reads it on every
// machine: struct __kernel_timespec.
type Timespec struct {
	Sec  int64 // seconds
	Nsec int64 // nanoseconds, 0 to 999999999
}

// TimespecOf is d as a Timespec.
func TimespecOf(d time.Duration) Timespec {
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}
