//go:build !linux

package main

import (
	"errors"
	"fmt"
)

// findAll returns an error: there is no such kernel here.
func findAll() (*record, error) {
	return nil, fmt.Errorf("probe: only Linux has io_uring: %w", errors.ErrUnsupported)
}
