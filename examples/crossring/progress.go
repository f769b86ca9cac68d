package main

import (
	"fmt"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// show shows how far b is, if it is time to: on a terminal the table, elsewhere
// only a line.
func (b *benchmark) show(screen *cli.Screen) {
	if !screen.Due() {
		return
	}
	text := b.progress() + "\n"
	if screen.Terminal {
		text = "\n" + table(b.sections) + "\n" + text
	}
	screen.Draw(text)
}

func (b *benchmark) progress() string {
	passed := time.Since(b.start)
	return fmt.Sprintf("%s %.1fs of %v, %s wakes", cli.Bar(float64(passed)/float64(b.cfg.duration), 24),
		passed.Seconds(), b.cfg.duration, digits(float64(b.wakes())))
}
