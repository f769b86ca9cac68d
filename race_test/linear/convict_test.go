package linear_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// specs are the models by the first word of the name of a file in testdata.
var specs = map[string]*spec{
	"map": mapSpec, "notify": notifySpec, "group": groupSpec, "flight": flightSpec, "value": valueSpec, "once": onceSpec,
	"mutex": mutexes.spec, "rwmutex": rwMutexes.spec, "semaphore": semaphores.spec, "queue": queueSpec,
}

// twins are files in testdata: a history with a fault, and one that differs in
// little else and has none.
type twins struct {
	why       string
	bad, good []op
}

func readTwins(t *testing.T, file string) (tw twins) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var into *[]op
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "":
		case strings.HasPrefix(line, "#"):
			tw.why = strings.TrimSpace(line[1:])
		case line == "bad":
			into = &tw.bad
		case line == "good":
			into = &tw.good
		default:
			o, err := parseOp(line)
			require.NoError(t, err, file)
			*into = append(*into, o)
		}
	}
	return tw
}

// TestConvictsBadHistories checks that the models reject each history with a fault
// and accept its twin.
func TestConvictsBadHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			kind, _, _ := strings.Cut(name, "-")
			require.Contains(t, specs, kind)
			tw := readTwins(t, file)
			verdict, _ := specs[kind].judge(tw.bad)
			require.Equal(t, porcupine.Illegal, verdict, "%s: acquitted", tw.why)
			verdict, _ = specs[kind].judge(tw.good)
			require.Equal(t, porcupine.Ok, verdict, "%s: its good twin is convicted", tw.why)
		})
	}
}

// TestHistoriesAsText checks that a history that is written as text is read back
// unchanged.
func TestHistoriesAsText(t *testing.T) {
	for _, o := range []op{
		{client: 1, name: "Swap", args: []int{1, 7}, got: result{v: 5, ok: true}, call: 3, ret: 9},
		{client: 0, name: "Wait", args: []int{2}, got: result{err: errContext}, call: 3, parked: 6, still: 7, ret: 9},
		{client: 2, name: "NotifyOne", call: 1, ret: 2},
	} {
		back, err := parseOp(o.String())
		require.NoError(t, err)
		require.Equal(t, o, back)
	}
	for _, bad := range []string{"", "0 1..2", "x 1..2 Load 1", "0 2..1 Load 1", "0 1 Load 1", "0 1..2 Load one"} {
		_, err := parseOp(bad)
		require.Error(t, err, bad)
	}
}
