//go:build amd64 || 386

package ring

// storeRelease publishes v: what was written before is seen by whoever reads v
// with acquire, as the kernel does. These processors keep stores in order, so a
// plain store is enough; a sequentially consistent one is a locked instruction.
func storeRelease(p *uint32, v uint32) { *p = v }
