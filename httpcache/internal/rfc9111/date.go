package rfc9111

import (
	"slices"
	"strings"
	"time"
)

// The three forms of a date after the name of the weekday. In them, 0 means a digit, _ a digit
// or a space, and a means a letter.
const (
	fixdate = ", 00 aaa 0000 00:00:00 GMT"
	rfc850  = ", 00-aaa-00 00:00:00 GMT"
	asctime = " aaa _0 00:00:00 0000"
)

// Date parses an HTTP-date in one of its three forms (RFC 9110, 5.6.7). Letters may be in any
// case (RFC 9111, 4.2). A year of two digits is at most 50 years after now. The weekday need
// not be the right one.
func Date(s string, now time.Time) (time.Time, bool) {
	end := strings.IndexAny(s, ", ")
	if end < 0 {
		return time.Time{}, false
	}
	day, rest := s[:end], s[end:]
	switch {
	case fits(rest, fixdate) && isWeekday(day, 3):
		return moment(number(rest[9:13]), rest[5:8], rest[2:4], rest[14:22])
	case fits(rest, asctime) && isWeekday(day, 3):
		return moment(number(rest[17:21]), rest[1:4], rest[5:7], rest[8:16])
	case fits(rest, rfc850) && isWeekday(day, 9):
		year := now.UTC().Year()
		year += number(rest[9:11]) - year%100
		t, ok := moment(year, rest[5:8], rest[2:4], rest[12:20])
		if ok && t.After(now.AddDate(50, 0, 0)) {
			t, ok = moment(year-100, rest[5:8], rest[2:4], rest[12:20])
		}
		return t, ok
	}
	return time.Time{}, false
}

// fits reports whether s has a form.
func fits(s, form string) bool {
	if len(s) != len(form) {
		return false
	}
	for i := range len(s) {
		c, want := s[i], form[i]
		switch want {
		case '0':
			if !isDigit(c) {
				return false
			}
		case '_':
			if !isDigit(c) && c != ' ' {
				return false
			}
		case 'a': // moment checks the names
		default:
			if upper(c) != want {
				return false
			}
		}
	}
	return true
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

var weekdays = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}

// isWeekday reports whether s is the name of a weekday, shortened to a length.
func isWeekday(s string, length int) bool {
	return slices.ContainsFunc(weekdays[:], func(name string) bool {
		return strings.EqualFold(s, name[:min(length, len(name))])
	})
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// moment returns the time with the given parts. A leap second counts as the second before.
func moment(year int, month, day, clock string) (time.Time, bool) {
	m := 0
	for i := range 12 {
		if strings.EqualFold(months[3*i:3*i+3], month) {
			m = i + 1
		}
	}
	d := number(strings.TrimPrefix(day, " "))
	hour, minute, second := number(clock[:2]), number(clock[3:5]), number(clock[6:8])
	t := time.Date(year, time.Month(m), d, hour, minute, min(second, 59), 0, time.UTC)
	if m == 0 || t.Day() != d || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	return t, true
}

// number returns the value of digits.
func number(digits string) int {
	n := 0
	for _, c := range []byte(digits) {
		n = n*10 + int(c-'0')
	}
	return n
}
