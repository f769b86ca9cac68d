package ring

import "unsafe"

// A Probe says which operations the kernel knows: struct io_uring_probe.
type Probe struct {
	lastOp, length uint8
	resv           uint16
	resv2          [3]uint32
	ops            [256]struct {
		op, resv uint8
		flags    uint16
		resv2    uint32
	}
}

// GetProbe asks the kernel, by a ring of its own. It corresponds to
// io_uring_get_probe; Linux 5.6.
func GetProbe() (*Probe, error) {
	r, err := Setup(2, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Registrar().Probe()
}

// Probe asks the kernel. It corresponds to io_uring_get_probe_ring; Linux 5.6.
func (r *Registrar) Probe() (*Probe, error) {
	p := new(Probe)
	if _, err := r.call(RegisterProbe, unsafe.Pointer(p), uint32(len(p.ops))); err != nil {
		return nil, err
	}
	return p, nil
}

// Supported reports whether the kernel knows that opcode, Op... It corresponds to
// io_uring_opcode_supported; Linux 5.6.
func (p *Probe) Supported(opcode uint8) bool {
	return opcode < p.length && p.ops[opcode].flags&opSupported != 0
}

// LastOp returns the highest opcode that the kernel has a number for; Linux 5.6.
func (p *Probe) LastOp() uint8 { return p.lastOp }
