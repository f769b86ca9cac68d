//go:build !linux

package rows

import (
	"errors"
	"fmt"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
)

func tryRing() error { return fmt.Errorf("%w: io_uring is Linux's", errors.ErrUnsupported) }

func nopSlice(nops, time.Duration) measure.Sample { panic("rows: no ring here") }
