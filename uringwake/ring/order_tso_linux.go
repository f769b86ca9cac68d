//go:build amd64 || 386

package ring

// storeRelease publishes v: a reader that loads v with acquire, as the kernel does,
// sees what was written before. These processors keep stores in order, so a plain
// store is enough; a sequentially consistent one is a locked instruction.
func storeRelease(p *uint32, v uint32) { *p = v }
