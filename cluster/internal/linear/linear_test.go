package linear_test

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	. "github.com/vigil-go/vigil/cluster/internal/linear"
)

// TestModelConvicts: histories that are not linearizable.
func TestModelConvicts(t *testing.T) {
	t.Parallel()
	op := func(call int64, in Input, out Output) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: call + 1}
	}
	stored := op(1, Input{Op: "store", Value: 1}, Output{Revision: 5})
	for name, bad := range map[string]porcupine.Operation{
		"stale read":       op(3, Input{Op: "load"}, Output{}),
		"other value":      op(3, Input{Op: "load"}, Output{Value: 2, Revision: 5, OK: true}),
		"stored over":      op(3, Input{Op: "loadOrStore", Value: 2}, Output{Value: 2}),
		"lost swap":        op(3, Input{Op: "swap", Old: 5, Value: 2}, Output{}),
		"swap of nothing":  op(3, Input{Op: "swap", Old: 4, Value: 2}, Output{OK: true, Revision: 6}),
		"delete of absent": op(3, Input{Op: "compareAndDelete", Old: 4}, Output{OK: true}),
	} {
		require.False(t, porcupine.CheckOperations(Model, []porcupine.Operation{stored, bad}), name)
	}
	unknown := op(1, Input{Op: "store", Value: 1}, Output{Unknown: true})
	for _, out := range []Output{{}, {Value: 1, Revision: 7, OK: true}} {
		require.True(t, porcupine.CheckOperations(Model, []porcupine.Operation{unknown, op(3, Input{Op: "load"}, out)}))
	}
}
