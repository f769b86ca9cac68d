package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A Screen shows how a program's work goes: on a terminal a text that is drawn
// over itself, elsewhere about a line a second.
type Screen struct {
	Terminal bool

	out   io.Writer
	drawn int       // lines on the terminal, to be drawn over
	shown time.Time // when it was time to show something last
}

// NewScreen returns a Screen on out. If plain is set, or out is no terminal, it
// draws nothing over.
func NewScreen(out io.Writer, plain bool) *Screen {
	return &Screen{out: out, Terminal: !plain && isTerminal(out), shown: time.Now()}
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

// interval is how long a text is shown at least.
func (s *Screen) interval() time.Duration {
	if s.Terminal {
		return time.Second / 5
	}
	return time.Second
}

// Due reports whether it is time to show something again.
func (s *Screen) Due() bool {
	if time.Since(s.shown) < s.interval() {
		return false
	}
	s.shown = time.Now()
	return true
}

// Draw shows text, which ends with a line break. On a terminal it takes the place
// of the text before: Draw goes up to its first line, and erases from there.
func (s *Screen) Draw(text string) {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\r\x1b[%dA\x1b[J", s.drawn)
	}
	fmt.Fprint(s.out, text)
	if s.Terminal {
		s.drawn = strings.Count(text, "\n")
	}
}

// During runs work and shows line until it is done, and a last time then. What is
// shown later does not take the place of that.
func (s *Screen) During(work func(), line func() string) {
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	tick := time.NewTicker(s.interval())
	defer tick.Stop()
	for {
		select {
		case <-done:
			s.Draw(line() + "\n")
			s.drawn = 0
			return
		case <-tick.C:
			s.Draw(line() + "\n")
		}
	}
}

// Bar draws how much of all is done, between brackets.
func Bar(part float64, width int) string {
	full := int(min(1, part) * float64(width))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
