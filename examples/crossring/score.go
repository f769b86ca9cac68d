package main

import "time"

// A path is who wakes whom.
type path int

const (
	goToGo path = iota
	goToTask
	taskToGo
	taskToTask
	taskAcross
	paths // how many
)

var pathNames = [paths]string{
	"goroutine to goroutine",
	"goroutine to task",
	"task to goroutine",
	"task to task, 1 loop",
	"task to task, 2 loops",
}

// A game is how wakes are made.
type game int

const (
	pingPong game = iota
	fanOut
	games // how many
)

var gameNames = [games]string{"ping-pong: Store, Take", "fan-out: NotifyWaiters"}

// A score is what has come out for a path, a game and a doorbell.
type score struct {
	wakes histogram
	took  time.Duration
	calls float64 // system calls of the loops
}

// perSecond is the rate of wakes.
func (s *score) perSecond() float64 {
	if s.took <= 0 {
		return 0
	}
	return float64(s.wakes.count) / s.took.Seconds()
}

// perWake is the number of system calls for each.
func (s *score) perWake() float64 { return s.calls / float64(max(1, s.wakes.count)) }

// A board is the scores of one doorbell.
type board struct {
	doorbell string               // "none": goroutines alone
	scores   [paths][games]*score // nil: not played
}

// lines calls f for each path that is played under a board.
func lines(boards []*board, f func(b *board, p path)) {
	for _, b := range boards {
		for p := range paths {
			if b.scores[p][pingPong] != nil {
				f(b, p)
			}
		}
	}
}
