package uringwake

import (
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// receiveBuffers are the provided buffers of one ring. The kernel takes one when data
// has come for one of the multishot receives that share them, so that a connection
// without data takes none. The sink of the receive copies what it needs, and the buffer
// is the kernel's again at once.
type receiveBuffers struct {
	ring *ring.BufRing
	mem  []byte // the kernel's, apart from the buffer whose completion is dispatched
}

const (
	receiveBufferCount = 256
	receiveGroup       = 1
)

// openBuffers makes the buffers of the ring, if there are none yet; Linux 5.19.
func (q *ringQueue) openBuffers() error {
	if q.buffers != nil {
		return nil
	}
	r, err := q.ring.Registrar().SetupBufRing(receiveBufferCount, receiveGroup, 0)
	if err != nil {
		return err
	}
	b := &receiveBuffers{r, make([]byte, receiveBufferCount*bridge.BufferSize)}
	for id := range uint16(receiveBufferCount) {
		r.Add(b.at(id), id)
	}
	r.Advance()
	q.buffers = b
	return nil
}

func (b *receiveBuffers) at(id uint16) []byte {
	i := int(id) * bridge.BufferSize
	return b.mem[i : i+bridge.BufferSize : i+bridge.BufferSize]
}

// bytes returns what the kernel has written into the buffer.
func (b *receiveBuffers) bytes(id uint16, res int32) []byte { return b.at(id)[:max(res, 0)] }

// give gives the buffer back to the kernel.
func (b *receiveBuffers) give(id uint16) {
	b.ring.Add(b.at(id), id)
	b.ring.Advance()
}

// prepareReceive fills the entry with a multishot receive into the buffers of o's loop.
func (o *op) prepareReceive(fd int, flags uint32) {
	o.sqe.PrepRecvMultishot(fd, flags, receiveGroup)
}
