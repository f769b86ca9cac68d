package uringwake_test

import (
	"errors"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// haveRing does not ask Supported, which remembers its answer: a child's rules
// are not in force yet.
func haveRing() error {
	r, err := ring.Setup(1, nil)
	if err != nil {
		return err
	}
	return r.Close()
}

func haveMessages() error { return kernelHas(ring.OpMsgRing, "5.18") }

func haveFutexes() error { return kernelHas(ring.OpFutexWait, "6.7") }

// kernelHas returns nil if the kernel has that operation.
func kernelHas(opcode uint8, since string) error {
	if p, err := ring.GetProbe(); err != nil || !p.Supported(opcode) {
		return errors.Join(errors.New("before Linux "+since), err)
	}
	return nil
}
