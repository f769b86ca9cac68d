package floor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built skips the test, with the reason, if the programs cannot be compiled.
func built(t *testing.T) Programs {
	t.Helper()
	p, err := Build(t.TempDir(), Names()...)
	skipUnsupported(t, err)
	require.NoError(t, err)
	return p
}

func skipUnsupported(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
}

func started(t *testing.T, p Programs, line string) *Proc {
	t.Helper()
	words := strings.Fields(line)
	proc, err := p.Start(words[0], words[1:]...)
	skipUnsupported(t, err)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, proc.Close()) })
	return proc
}

func TestEveryProgramRuns(t *testing.T) {
	p := built(t)
	lines := []string{"pipe one"}
	for _, batch := range []string{"1", "32", "256"} {
		lines = append(lines, "nop "+batch+" wait defer", "nop "+batch+" events defer",
			"nop "+batch+" wait plain", "nop "+batch+" events plain threads registered")
	}
	for _, place := range []string{"same", "other", "free"} {
		lines = append(lines, "futex "+place, "pipe two "+place)
	}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			proc := started(t, p, line)
			for range 2 { // the second starts from the result of the first
				r, err := proc.Run(50)
				require.NoError(t, err)
				require.Positive(t, r.Op)
			}
			r, err := proc.RunFor(time.Millisecond)
			require.NoError(t, err)
			assert.Positive(t, r.Op)
		})
	}
}

func TestEveryWakeIsMeasured(t *testing.T) {
	p := built(t)
	for _, how := range []string{"eventfd", "msg_ring", "send_msg_ring"} {
		for _, state := range []string{"asleep same", "asleep other", "asleep free", "asleep other 200", "awake other", "awake free"} {
			line := "wake " + how + " " + state
			t.Run(line, func(t *testing.T) {
				proc := started(t, p, line)
				for range 2 {
					r, err := proc.Run(20)
					require.NoError(t, err)
					for _, v := range []float64{r.Op, r.Call, r.P50} {
						require.Positive(t, v)
					}
					require.GreaterOrEqual(t, r.P99, r.P50)
				}
			})
		}
	}
}

func TestAnOperationIsAtLeastASystemCall(t *testing.T) {
	proc := started(t, built(t), "nop 1 wait defer")
	r, err := proc.Run(1000)
	require.NoError(t, err)
	assert.Greater(t, r.Op, 20.0, "ns: no kernel answers faster")
}

func TestAServerSaysWhereItIs(t *testing.T) {
	proc := started(t, built(t), "echo 64")
	assert.Regexp(t, `^127\.0\.0\.1:\d+$`, proc.Ready)
	assert.Positive(t, proc.PID())
}

func TestWrongUseIsExplained(t *testing.T) {
	p := built(t)
	for line, want := range map[string]string{
		"nop":                     "usage: nop",
		"nop 257 wait defer":      "BATCH is 1 to 256",
		"nop x wait defer":        "BATCH is 1 to 256",
		"nop 1 wait defer fast":   "an option is",
		"futex here":              "a placement is",
		"pipe two":                "usage: pipe",
		"echo 0":                  "usage: echo",
		"wake bell asleep free":   "a wake is",
		"wake eventfd awake same": "keeps the other off",
	} {
		words := strings.Fields(line)
		_, err := p.Start(words[0], words[1:]...)
		require.ErrorContains(t, err, want, line)
		require.NotErrorIs(t, err, errors.ErrUnsupported, line)
	}
	_, err := p.Start("nosuch")
	require.Error(t, err)
}

func TestAWrongOrderEndsTheProgram(t *testing.T) {
	words := strings.Fields("futex free")
	proc, err := built(t).Start(words[0], words[1:]...)
	require.NoError(t, err)
	_, err = proc.Run(0)
	require.ErrorContains(t, err, "the only order is")
	_, again := proc.Run(1)
	require.Equal(t, err, again)
	require.Equal(t, err, proc.Close())
}

func TestCloseIsIdempotent(t *testing.T) {
	proc, err := built(t).Start("futex", "free")
	require.NoError(t, err)
	require.NoError(t, proc.Close())
	require.NoError(t, proc.Close())
	_, err = proc.Run(1)
	require.ErrorIs(t, err, errClosed)
}

func TestWithoutGCCTheReasonIsTold(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Build(t.TempDir(), Names()...)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "gcc")
}

func TestWithoutLiburingTheReasonIsTold(t *testing.T) {
	built(t)                         // with the original environment it succeeds
	t.Setenv("C_INCLUDE_PATH", "")   // the user may have set a path
	t.Setenv("GCC_EXEC_PREFIX", "/") // a gcc without libraries
	_, err := Build(t.TempDir(), Names()...)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "liburing")
}
