//go:build race || vigil_debug

package waitmap

import (
	"bytes"
	"runtime"
)

// checkReentry says whether a computation that uses its own key panics instead of
// deadlocking. To know the goroutine costs more than the computation.
const checkReentry = true

// goroutine names the calling goroutine by the head of its stack trace.
func goroutine() string {
	var buf [64]byte
	head, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte(" ["))
	return string(head)
}
