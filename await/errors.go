package await

import "errors"

// ErrLimit is returned by Acquire if a Semaphore has fewer permits in all than are asked
// for.
var ErrLimit = errors.New("await: more than the limit of the Semaphore")

// ErrClosed is returned by the methods of a Queue that was closed.
var ErrClosed = errors.New("await: the Queue is closed")
