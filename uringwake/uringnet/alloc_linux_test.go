package uringnet_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// TestReadAndWriteAllocateNothing, whether they have to wait or not.
func TestReadAndWriteAllocateNothing(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		done := w.start(func(context.Context) { echo(b) })
		w.do(func(context.Context) {
			defer a.Close()
			p, v := make([]byte, 100), [][]byte{make([]byte, 50), make([]byte, 50)}
			require.Zero(t, testing.AllocsPerRun(1000, func() {
				a.Write(p)
				a.Read(p)
				a.Writev(v)
				a.Read(p)
			}))
		})
		<-done
	})
}

// echo sends back what it reads.
func echo(c *uringnet.Conn) {
	p := make([]byte, 4096)
	for {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		c.Write(p[:n])
	}
}
