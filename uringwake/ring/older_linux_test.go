package ring_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// A kernel that refuses an enter flag, as one does that came before it.
func TestEnterFlagOfALaterKernel(t *testing.T) {
	if !refuse.Child(t, refuse.NoEnter(ring.EnterNoIOWait, unix.EINVAL)) {
		return
	}
	g := newRig(t, nil)
	_, err := g.r.SQ().Enter(0, ring.EnterNoIOWait|ring.EnterGetEvents)
	require.ErrorIs(t, err, unix.EINVAL)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = g.r.SQ().Enter(0, ring.EnterGetEvents|1<<30)
	require.ErrorIs(t, err, unix.EINVAL)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}
