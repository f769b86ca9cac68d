//go:build race

package linear_test

const raceEnabled = true
