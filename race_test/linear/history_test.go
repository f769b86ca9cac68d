package linear_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// An op is one call of a history. Its times are numbers of one counter, so no two
// are equal.
type op struct {
	client    int
	name      string
	args      []int
	got       result
	call, ret int64

	// When the call was first and last known to be in line; 0: never.
	parked, still int64
}

// A result is what a call returned. The model defines its meaning.
type result struct {
	v   int
	ok  bool
	err string // one of the words below, or empty
}

const (
	errContext  = "ctx"      // the context ended
	errCanceled = "canceled" // Map.Cancel
	errClosed   = "closed"   // Map.Close
	errOwn      = "failed"   // an error of a function of the test
	errStopped  = "stopped"  // Listener.Stop
	errAsleep   = "asleep"   // the call was served and slept until its context ended: a lost wake
	errWrong    = "wrong"    // the result contradicts itself
)

// word maps an error to one of the words.
func word(err error, known map[error]string) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return errContext
	}
	for target, w := range known {
		if errors.Is(err, target) {
			return w
		}
	}
	return err.Error()
}

// arg returns the i-th argument, or 0.
func (o *op) arg(i int) int {
	if i < len(o.args) {
		return o.args[i]
	}
	return 0
}

// what returns the call without its times, for the drawing.
func (o *op) what() string {
	words := []string{o.name}
	for _, a := range o.args {
		words = append(words, strconv.Itoa(a))
	}
	words = append(words, "->", strconv.Itoa(o.got.v), strconv.FormatBool(o.got.ok))
	if o.got.err != "" {
		words = append(words, strings.ReplaceAll(o.got.err, " ", "_"))
	}
	return strings.Join(words, " ")
}

// String returns a line of a file in testdata: client, times, call and result.
func (o *op) String() string {
	times := fmt.Sprintf("%d..%d", o.call, o.ret)
	if o.parked != 0 {
		times = fmt.Sprintf("%d..%d..%d..%d", o.call, o.parked, o.still, o.ret)
	}
	return fmt.Sprintf("%d %s %s", o.client, times, o.what())
}

// parseOp is the inverse of String. Zero values at the end of the result may be
// missing.
func parseOp(line string) (o op, err error) {
	f := strings.Fields(line)
	if len(f) < 3 {
		return o, fmt.Errorf("too short: %q", line)
	}
	o.client, err = strconv.Atoi(f[0])
	if err == nil {
		err = o.parseTimes(f[1])
	}
	o.name = f[2]
	call, got, _ := strings.Cut(strings.Join(f[3:], " "), "->")
	for _, a := range strings.Fields(call) {
		n, bad := strconv.Atoi(a)
		o.args, err = append(o.args, n), cmp.Or(err, bad)
	}
	o.got = parseResult(got)
	return o, err
}

func (o *op) parseTimes(s string) error {
	var times []int64
	for part := range strings.SplitSeq(s, "..") {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return err
		}
		times = append(times, n)
	}
	last := len(times) - 1
	if last < 1 || last > 3 || slices.Min(times) < times[0] || slices.Max(times) > times[last] {
		return fmt.Errorf("times of a call: %q", s)
	}
	o.call, o.ret = times[0], times[last]
	if last > 1 {
		o.parked, o.still = times[1], times[last-1]
	}
	return nil
}

func parseResult(s string) (r result) {
	for _, w := range strings.Fields(s) {
		if n, err := strconv.Atoi(w); err == nil {
			r.v = n
		} else if b, err := strconv.ParseBool(w); err == nil {
			r.ok = b
		} else {
			r.err = w
		}
	}
	return r
}

// A part is the instant of a call that a step of the model belongs to.
type part byte

const (
	whole     part = iota // the call has one instant
	enter                 // the request: the call gets in line, or is served at once
	leave                 // the follow-up: the call was served, or gives up
	settle                // the later effects of the call are over
	enterNext             // the second request of a call that gets in two lines, one after the other
)

// A step is the input of a model's Step. There is no separate output.
type step struct {
	*op
	part part
	id   byte // of the call, in its partition
}

// A spec is a sequential model. It makes steps of the calls of a history. Each
// partition is a history of its own.
type spec struct {
	init      any
	partition func(*op) int
	parts     func(*op) []part
	step      func(state any, s step, calls []*op) (any, bool)
}

// steps returns the steps of each partition.
func (sp *spec) steps(ops []op) map[int][]step {
	out := make(map[int][]step)
	ids := make(map[int]int)
	for i := range ops {
		o := &ops[i]
		k := sp.partition(o)
		for _, p := range sp.parts(o) {
			out[k] = append(out[k], step{op: o, part: p, id: byte(ids[k])})
		}
		if ids[k]++; ids[k] > 256 {
			panic("linear_test: a history is too long for its model")
		}
	}
	return out
}

// interval returns when a step's instant may be. An enter comes before the call was
// first seen in line, and a leave after it was last.
func (s step) interval() (from, to int64) {
	switch {
	case s.parked != 0 && (s.part == enter || s.part == enterNext):
		return s.call, s.parked
	case s.parked != 0 && s.part == leave:
		return s.still, s.ret
	default:
		return s.call, s.ret
	}
}

// operations returns a partition in porcupine's format, with its model. Times are
// doubled because there intervals that touch overlap.
func (sp *spec) operations(steps []step) (porcupine.Model, []porcupine.Operation) {
	calls := make([]*op, 256)
	var list []porcupine.Operation
	for _, s := range steps {
		calls[s.id] = s.op
		from, to := s.interval()
		list = append(list, porcupine.Operation{ClientId: s.client, Input: s, Call: 2*from + 1, Return: 2 * to})
	}
	return porcupine.Model{
		Init: func() any { return sp.init },
		Step: func(state, in, _ any) (bool, any) {
			next, ok := sp.step(state, in.(step), calls)
			return ok, next
		},
		DescribeOperation: func(in, _ any) string {
			return [...]string{"", "in line: ", "back: ", "settled: ", "in line, too: "}[in.(step).part] + in.(step).what()
		},
		DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
	}, list
}

// checkLimit does not depend on the speed of the machine: porcupine takes
// milliseconds for the histories recorded here. If a history ever takes that long,
// make histories smaller.
const checkLimit = 5 * time.Minute

// judge reports whether the history is linearizable. If not, it returns the
// partition that is not.
func (sp *spec) judge(ops []op) (verdict porcupine.CheckResult, where int) {
	for k, steps := range sp.steps(ops) {
		m, list := sp.operations(steps)
		if v := porcupine.CheckOperationsTimeout(m, list, checkLimit); v != porcupine.Ok {
			return v, k
		}
	}
	return porcupine.Ok, 0
}

// requireExplained fails the test and keeps the history if it is not linearizable.
func (sp *spec) requireExplained(t *testing.T, seed int64, ops []op) {
	t.Helper()
	verdict, where := sp.judge(ops)
	if verdict == porcupine.Ok {
		return
	}
	text, drawing := sp.keep(t, seed, ops, where)
	t.Fatalf("%s: partition %d of the history with seed %d\n%s\nhistory: %s\ndrawing: %s\nagain, with the same calls: go test ./race_test/linear -run '^%s$' -seed %d -histories 1",
		verdict, where, seed, sp.summary(ops, where), text, drawing, t.Name(), seed)
}

// keep writes the history and its drawing to files.
func (sp *spec) keep(t *testing.T, seed int64, ops []op, where int) (text, drawing string) {
	dir := keepDir(t)
	text = filepath.Join(dir, fmt.Sprintf("history-%d.txt", seed))
	drawing = filepath.Join(dir, fmt.Sprintf("history-%d.html", seed))
	require.NoError(t, os.WriteFile(text, []byte(format(ops)), 0o644))
	m, list := sp.operations(sp.steps(ops)[where])
	_, info := porcupine.CheckOperationsVerbose(m, list, time.Minute)
	require.NoError(t, porcupine.VisualizePath(m, info, drawing))
	return text, drawing
}

// keepDir returns the test's folder for artifacts if these are kept, and otherwise
// a temporary folder that is not removed.
func keepDir(t *testing.T) string {
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		return t.ArtifactDir()
	}
	dir, err := os.MkdirTemp("", "vigil-history-")
	require.NoError(t, err)
	return dir
}

func format(ops []op) string {
	slices.SortFunc(ops, func(a, b op) int { return cmp.Compare(a.call, b.call) })
	var b strings.Builder
	for i := range ops {
		fmt.Fprintln(&b, &ops[i])
	}
	return b.String()
}

// summary returns the rejected partition, if it is short enough to read.
func (sp *spec) summary(ops []op, where int) string {
	guilty := slices.DeleteFunc(slices.Clone(ops), func(o op) bool { return sp.partition(&o) != where })
	const readable = 60
	if len(guilty) > readable {
		return fmt.Sprintf("(%d calls)", len(guilty))
	}
	return format(guilty)
}
