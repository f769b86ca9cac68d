package child

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(Variable) != "" {
		fmt.Println("hello", os.Args[1])
		fmt.Println("done")
		for start := time.Now(); time.Since(start) < time.Minute; { // until it is killed
		}
	}
	testkit.Main(m)
}

func TestChild(t *testing.T) {
	p, err := StartSelf(t.Context(), "child")
	require.NoError(t, err)
	defer p.Close()
	for _, want := range []string{"hello child", "done"} {
		line, err := p.Line()
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	used, err := p.CPU()
	if runtime.GOOS != "linux" {
		require.Error(t, err)
		return
	}
	for used == 0 && err == nil { // it counts in steps of 10 ms
		used, err = p.CPU()
	}
	require.NoError(t, err)
	require.Less(t, used, time.Hour)
}

func TestTimesOfAStat(t *testing.T) {
	used, err := cpuOf([]byte("42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 7 0 100\n"))
	require.NoError(t, err)
	require.Equal(t, 1750*time.Millisecond, used)
	for _, bad := range []string{"", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194560 1 0 0 0 x 25"} {
		_, err := cpuOf([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestNoProgram(t *testing.T) {
	_, err := Start(t.Context(), "/nowhere/program")
	require.Error(t, err)
}
