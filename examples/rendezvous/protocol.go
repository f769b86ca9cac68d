package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Limits of what a client may send. Redis' own are the same but for maxBulk, which is
// 512 MiB there, and maxCommand.
const (
	maxInline  = 64 << 10 // bytes of a line
	maxArgs    = 1 << 20  // arguments of a command
	maxBulk    = 64 << 20 // bytes of an argument
	maxCommand = 96 << 20 // bytes of a command
)

// A protocolError is a client's violation of the protocol. The client is told, and
// disconnected, because nobody knows where its next command begins.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

var (
	errBulkLength error = protocolError("invalid bulk length")
	errLongBulk   error = protocolError("too big bulk count string")
	errArgs       error = protocolError("invalid multibulk length")
	errLongArgs   error = protocolError("too big mbulk count string")
	errLongInline error = protocolError("too big inline request")
	errUnbalanced error = protocolError("unbalanced quotes in request")
)

// A parser splits what a client sends into commands: arrays of bulk strings, or lines
// of words. It remembers how far it has come in a command of which a part is there, so
// that no byte is parsed twice however small the parts are.
type parser struct {
	buf   []byte // what has been read: commands that were returned, then what is to come
	begin int    // where the command that is being parsed begins
	at    int    // where parsing goes on
	left  int    // arguments of the array that are still to come; 0 between commands
	bulk  int    // the length of the next argument, or -1 if that is still to come
	spans []span // the arguments so far
	args  [][]byte
}

// A span is an argument as a part of the buffer, relative to its command's beginning: the
// buffer may move while the command arrives.
type span struct{ from, to int }

// next returns the arguments of the next command, at least one. They lie in the parser's
// buffer, and are valid until the next call of room. ok is false if more must be read.
func (p *parser) next() (args [][]byte, ok bool, err error) {
	for {
		if p.left == 0 {
			p.begin, p.spans = p.at, p.spans[:0]
			if p.at == len(p.buf) {
				return nil, false, nil
			}
			if p.buf[p.at] != '*' {
				args, ok, err = p.inline()
			} else {
				ok, err = p.header()
			}
			if !ok || len(args) > 0 {
				return args, ok, err
			}
			continue // an empty line, or an array's header
		}
		if ok, err = p.argument(); !ok {
			return nil, false, err
		}
		if p.left--; p.left == 0 {
			return p.arguments(), true, nil
		}
	}
}

// header parses the line that begins an array. An array without arguments is nothing.
func (p *parser) header() (ok bool, err error) {
	n, ok, err := p.number(maxArgs, errArgs, errLongArgs)
	if ok {
		p.left, p.bulk = max(0, n), -1
	}
	return ok, err
}

// argument parses the next argument of an array.
func (p *parser) argument() (ok bool, err error) {
	if p.bulk < 0 {
		if p.at == len(p.buf) {
			return false, nil
		}
		if c := p.buf[p.at]; c != '$' {
			return false, protocolError(fmt.Sprintf("expected '$', got '%c'", printable(c)))
		}
		n, ok, err := p.number(maxBulk, errBulkLength, errLongBulk)
		if !ok {
			return false, err
		}
		if n < 0 || p.at-p.begin+n > maxCommand {
			return false, errBulkLength
		}
		p.bulk = n
	}
	end := p.at + p.bulk
	if len(p.buf) < end+2 {
		return false, nil
	}
	p.spans = append(p.spans, span{p.at - p.begin, end - p.begin})
	p.at, p.bulk = end+2, -1 // as Redis does, whatever the two bytes are
	return true, nil
}

// printable is c, or something to show for it.
func printable(c byte) byte {
	if c < ' ' || c > '~' {
		return '?'
	}
	return c
}

// number parses a line of one byte and a number of at most limit.
func (p *parser) number(limit int, bad, tooLong error) (n int, ok bool, err error) {
	line, ok := p.line()
	switch {
	case !ok && len(p.buf)-p.at > maxInline:
		return 0, false, tooLong
	case !ok:
		return 0, false, nil
	}
	n, err = strconv.Atoi(string(line[1:]))
	if err != nil || n > limit || line[1] == '+' {
		return 0, false, bad
	}
	return n, true, nil
}

// line returns the next line without its end, and goes behind it.
func (p *parser) line() ([]byte, bool) {
	i := bytes.IndexByte(p.buf[p.at:min(len(p.buf), p.at+maxInline+2)], '\n')
	if i < 0 {
		return nil, false
	}
	line := p.buf[p.at : p.at+i]
	p.at += i + 1
	return bytes.TrimSuffix(line, []byte{'\r'}), true
}

// arguments are the spans as parts of the buffer.
func (p *parser) arguments() [][]byte {
	p.args = p.args[:0]
	for _, s := range p.spans {
		from, to := p.begin+s.from, p.begin+s.to
		p.args = append(p.args, p.buf[from:to:to])
	}
	return p.args
}

// inline parses a line of words, as somebody types who has no client.
func (p *parser) inline() (args [][]byte, ok bool, err error) {
	line, ok := p.line()
	if !ok {
		if len(p.buf)-p.at > maxInline {
			err = errLongInline
		}
		return nil, false, err
	}
	args, err = words(line)
	return args, err == nil, err
}

// words splits a line at blanks. A word may be quoted: within "" the escapes of C hold,
// within ” only \'.
func words(line []byte) (args [][]byte, err error) {
	for {
		line = bytes.TrimLeft(line, " \t\r\v\f")
		if len(line) == 0 {
			return args, nil
		}
		var word []byte
		if word, line, err = nextWord(line); err != nil {
			return nil, err
		}
		args = append(args, word)
	}
}

func nextWord(line []byte) (word, rest []byte, err error) {
	word = []byte{}
	for len(line) > 0 && !blank(line[0]) {
		c := line[0]
		if c != '"' && c != '\'' {
			word, line = append(word, c), line[1:]
			continue
		}
		if word, line, err = quoted(word, line[1:], c); err != nil {
			return nil, nil, err
		}
		if len(line) > 0 && !blank(line[0]) {
			return nil, nil, errUnbalanced
		}
	}
	return word, line, nil
}

func blank(c byte) bool { return bytes.IndexByte([]byte(" \t\r\v\f"), c) >= 0 }

// quoted appends to word what lies before the quote that ends it.
func quoted(word, line []byte, quote byte) (_, rest []byte, err error) {
	for len(line) > 0 {
		switch c := line[0]; {
		case c == quote:
			return word, line[1:], nil
		case c == '\\' && len(line) > 1 && (quote == '"' || line[1] == '\''):
			b, n := escaped(line[1:])
			word, line = append(word, b), line[1+n:]
		default:
			word, line = append(word, c), line[1:]
		}
	}
	return nil, nil, errUnbalanced
}

// escaped returns the byte that the text behind a backslash stands for, and the length of
// that text.
func escaped(text []byte) (b byte, n int) {
	if text[0] == 'x' && len(text) > 2 {
		if x, err := strconv.ParseUint(string(text[1:3]), 16, 8); err == nil {
			return byte(x), 3
		}
	}
	if i := bytes.IndexByte([]byte("nrtba"), text[0]); i >= 0 {
		return "\n\r\t\b\a"[i], 1
	}
	return text[0], 1
}

// Sizes of the buffer.
const (
	minRoom = 16 << 10 // of the first buffer
	maxKept = 1 << 20  // a larger buffer is not kept when it is empty
)

// errFull is the error of a buffer that is as large as it may become.
var errFull = errors.New("more was sent than is read ahead")

// room returns the free end of the buffer, a few KiB at least, and errFull if there would be
// more than limit bytes in the buffer. It ends the life of the arguments that next has
// returned. The buffer grows only as bytes arrive, whatever length they announce.
func (p *parser) room(limit int) ([]byte, error) {
	p.discard()
	if len(p.buf) >= limit {
		return nil, errFull
	}
	if cap(p.buf)-len(p.buf) < minRoom/4 {
		p.buf = append(make([]byte, 0, max(minRoom, 2*cap(p.buf))), p.buf...)
	}
	return p.buf[len(p.buf):cap(p.buf)], nil
}

// discard drops the commands that were returned.
func (p *parser) discard() {
	start := p.at
	if p.left > 0 {
		start = p.begin
	}
	if start > 0 {
		p.buf = p.buf[:copy(p.buf, p.buf[start:])]
		p.begin, p.at = 0, p.at-start
	}
	if len(p.buf) == 0 && cap(p.buf) > maxKept {
		p.buf = nil
	}
}

// filled tells the parser that n bytes were read into room.
func (p *parser) filled(n int) { p.buf = p.buf[:len(p.buf)+n] }
