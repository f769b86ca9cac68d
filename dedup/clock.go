package dedup

import "time"

// epoch is what the clock counts from: time.Since costs half of what time.Now
// does.
var epoch = time.Now()

// ahead makes the clock's times positive. In a bubble of testing/synctest it is
// the year 2000, long before epoch.
const ahead = 1 << 61

// clock is the time in nanoseconds.
func clock() int64 { return int64(time.Since(epoch)) + ahead }

// timeOf turns a time of the clock's into a time.Time. By way of now: in a
// bubble epoch is another one.
func timeOf(ns int64) time.Time { return time.Now().Add(time.Duration(ns - clock())) }
