package uringwake

import (
	"context"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

func init() {
	bridge.Read = func(ctx context.Context, fd int, p []byte, off int64, i *bridge.Interrupter) (int, error) {
		t := reading(fd, p, off)
		t.interrupter = i
		return t.do(ctx)
	}
	bridge.Write = func(ctx context.Context, fd int, p []byte, off int64, i *bridge.Interrupter) (int, error) {
		t := writing(fd, p, off)
		t.interrupter = i
		return t.do(ctx)
	}
	bridge.Poll = func(ctx context.Context, fd int, events uint32, i *bridge.Interrupter) error {
		_, err := pollUntil(ctx, fd, events, i)
		return err
	}
	bridge.ReadNow, bridge.ReadHere, bridge.WriteHere = readNow, readHere, writeHere
}

func readNow(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	if t := TaskFrom(ctx); t != nil {
		t.mustRun("operation")
	}
	t := reading(fd, p, off)
	return t.once(nowait)
}

func readHere(fd int, p []byte, off int64) (int, error) {
	t := reading(fd, p, off)
	return t.once(0)
}

func writeHere(fd int, p []byte, off int64) (int, error) {
	t := writing(fd, p, off)
	return t.once(0)
}

// once makes the system call with these RWF flags, until no signal interrupts it.
func (t *transfer) once(flags uintptr) (int, error) {
	raceRelease()
	n, e := t.uninterrupted(flags)
	raceAcquire()
	if e != 0 {
		return 0, e
	}
	return n, nil
}
