//go:build !race

package uringwake

func raceRelease() {}
func raceAcquire() {}
