//go:build !amd64 && !386

package ring

import "sync/atomic"

// storeRelease publishes v: what was written before is seen by whoever reads v
// with acquire, as the kernel does.
func storeRelease(p *uint32, v uint32) { atomic.StoreUint32(p, v) }
