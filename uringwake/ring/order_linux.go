//go:build !amd64 && !386

package ring

import "sync/atomic"

// storeRelease publishes v: a reader that loads v with acquire, as the kernel does,
// sees what was written before.
func storeRelease(p *uint32, v uint32) { atomic.StoreUint32(p, v) }
