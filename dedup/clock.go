package dedup

import (
	"time"

	"github.com/vigil-go/vigil/internal/monotime"
)

// ahead makes the clock's times positive. In a testing/synctest bubble the time is in
// the year 2000, long before the start of the program.
const ahead = 1 << 61

// clock returns the time in nanoseconds.
func clock() int64 { return monotime.Now() + ahead }

// timeOf returns the time.Time of a time of the clock.
func timeOf(ns int64) time.Time { return monotime.Time(ns - ahead) }
