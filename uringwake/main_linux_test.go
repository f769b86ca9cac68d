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

func haveMessages() error {
	if p, err := ring.GetProbe(); err != nil || !p.Supported(ring.OpMsgRing) {
		return errors.Join(errors.New("before Linux 5.18"), err)
	}
	return nil
}
