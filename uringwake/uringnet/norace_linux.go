//go:build linux && !race

package uringnet

func raceRelease() {}
func raceAcquire() {}
