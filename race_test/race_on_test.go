//go:build race

package race_test

const raceEnabled = true
