package main

import (
	"math"
	"strconv"
)

// A reply collects the answers to a client, in its version of the protocol.
type reply struct {
	buf      []byte
	protocol int // 2 or 3
}

// line appends a line that begins with kind.
func (r *reply) line(kind byte, text string) {
	r.buf = append(r.buf, kind)
	r.buf = append(r.buf, text...)
	r.buf = append(r.buf, "\r\n"...)
}

// count appends a line that is a kind and a number.
func (r *reply) count(kind byte, n int64) {
	r.buf = append(r.buf, kind)
	r.buf = strconv.AppendInt(r.buf, n, 10)
	r.buf = append(r.buf, "\r\n"...)
}

func (r *reply) status(text string) { r.line('+', text) }
func (r *reply) error(err error)    { r.line('-', errorText(err)) }
func (r *reply) integer(n int)      { r.count(':', int64(n)) }
func (r *reply) array(n int)        { r.count('*', int64(n)) }

// bulk appends a string of any bytes.
func (r *reply) bulk(b []byte) {
	r.count('$', int64(len(b)))
	r.buf = append(r.buf, b...)
	r.buf = append(r.buf, "\r\n"...)
}

func (r *reply) text(s string) { r.bulk([]byte(s)) }

func (r *reply) texts(list ...string) {
	for _, s := range list {
		r.text(s)
	}
}

func (r *reply) bulks(list [][]byte) {
	r.array(len(list))
	for _, b := range list {
		r.bulk(b)
	}
}

// null appends what stands for a value that is not there.
func (r *reply) null() { r.nothing("$-1") }

// nullArray appends what stands for an array that is not there.
func (r *reply) nullArray() { r.nothing("*-1") }

func (r *reply) nothing(in2 string) {
	if r.protocol == 3 {
		in2 = "_"
	}
	r.buf = append(append(r.buf, in2...), "\r\n"...)
}

// fields begins a map of n keys and values, which version 2 has as an array.
func (r *reply) fields(n int) {
	if r.protocol == 3 {
		r.count('%', int64(n))
	} else {
		r.array(2 * n)
	}
}

// push begins an array of n that answers no command.
func (r *reply) push(n int) {
	if r.protocol == 3 {
		r.count('>', int64(n))
	} else {
		r.array(n)
	}
}

// errorText is an error as one line. A text without a code of its own gets ERR.
func errorText(err error) string {
	text := []byte(err.Error())
	for i, c := range text {
		if c == '\r' || c == '\n' {
			text[i] = ' '
		}
	}
	if _, ok := err.(codedError); ok {
		return string(text)
	}
	return "ERR " + string(text)
}

// integerOf parses an argument that is a number.
func integerOf(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || b[0] == '+' {
		return 0, errNoInteger
	}
	return n, nil
}

// secondsOf parses a number of seconds that is not negative and may have a fraction.
func secondsOf(b []byte) (float64, error) {
	s, err := strconv.ParseFloat(string(b), 64)
	switch {
	case err != nil || math.IsNaN(s) || s > 1e9:
		return 0, errNoTimeout
	case s < 0:
		return 0, errNegativeTimeout
	}
	return s, nil
}
