package ring

import (
	"math"
	"time"
)

// A Timespec is a duration or a point in time, as the kernel reads it on every
// machine: struct __kernel_timespec.
type Timespec struct {
	Sec  int64 // seconds
	Nsec int64 // nanoseconds, 0 to 999999999
}

// TimespecOf returns d as a Timespec.
func TimespecOf(d time.Duration) Timespec {
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

// duration returns t as a duration: 0 if it is negative, and the longest one if it
// is longer.
func (t *Timespec) duration() time.Duration {
	const most = math.MaxInt64 / int64(time.Second) // and the nanoseconds are fewer
	sec, nsec := min(max(t.Sec, -2*most), 2*most)+t.Nsec/1e9, t.Nsec%1e9
	switch {
	case sec >= most:
		return math.MaxInt64
	case sec < 0:
		return 0
	}
	return max(time.Duration(sec*1e9+nsec), 0)
}
