package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A screen shows how the contest goes: a table that is drawn over itself on a
// terminal, a line about once a second elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	drawn    int       // lines on the terminal, to be drawn over
	shown    time.Time // when it showed something last
}

func newScreen(out io.Writer, plain bool) *screen {
	return &screen{out: out, terminal: !plain && isTerminal(out), shown: time.Now()}
}

// isTerminal reports whether out is a device that shows characters and knows
// control sequences, as far as the environment tells.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	if t := os.Getenv("TERM"); t == "dumb" || t == "" && os.Getenv("WT_SESSION") == "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show shows how c stands, unless it has just done so.
func (s *screen) show(c *contest) {
	every := time.Second
	if s.terminal {
		every = time.Second / 5
	}
	if time.Since(s.shown) < every {
		return
	}
	s.shown = time.Now()
	line := progress(c)
	if !s.terminal {
		fmt.Fprintln(s.out, line)
		return
	}
	s.draw("\n" + table(c.boards) + "\n" + line + "\n")
}

// last shows text in the place of all that was.
func (s *screen) last(text string) {
	s.draw("\n" + text)
}

// draw writes over what it has drawn before: it goes up to its first line, and
// erases from there.
func (s *screen) draw(text string) {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\r\x1b[%dA\x1b[J", s.drawn)
	}
	io.WriteString(s.out, text)
	if s.terminal {
		s.drawn = strings.Count(text, "\n")
	}
}

func progress(c *contest) string {
	passed := time.Since(c.start)
	return fmt.Sprintf("%s %.1fs of %v, %s wakes", bar(float64(passed)/float64(c.cfg.duration)),
		passed.Seconds(), c.cfg.duration, digits(float64(c.wakes())))
}

// bar draws how much of all is done.
func bar(part float64) string {
	const width = 24
	full := int(min(1, part) * width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
