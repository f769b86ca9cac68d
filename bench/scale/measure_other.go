//go:build !linux

package scale

import (
	"errors"
	"fmt"
)

// Measure needs Linux.
func Measure(Settings) (Inputs, error) {
	return Inputs{}, fmt.Errorf("scale: CPU times are measured on Linux only: %w", errors.ErrUnsupported)
}
