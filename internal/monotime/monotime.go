// Package monotime has the time as a number of nanoseconds, which costs half of what a
// time.Time does.
package monotime

import "time"

// epoch is what Now counts from.
var epoch = time.Now()

// Now returns the nanoseconds since the program began. In a testing/synctest bubble,
// whose clock begins in the year 2000, it is negative, unless the bubble has advanced
// its clock past the program's.
func Now() int64 { return int64(time.Since(epoch)) }

// Time returns the time.Time of ns, which Now returned in the same bubble, or outside of
// all bubbles. It goes by the difference to now, since a bubble's clock has another epoch.
func Time(ns int64) time.Time { return time.Now().Add(time.Duration(ns - Now())) }
