package main

// An end of a list.
type end bool

const (
	left  end = false
	right end = true
)

// A deque is a list of strings with two ends. The zero value is empty.
type deque struct {
	ring  [][]byte // its length is a power of two
	first int      // where the leftmost element is
	n     int
}

func (d *deque) len() int { return d.n }

func (d *deque) push(at end, item []byte) {
	if d.n == len(d.ring) {
		d.resize(max(4, 2*d.n))
	}
	if at == left {
		d.first = (d.first - 1) & (len(d.ring) - 1)
		d.ring[d.first] = item
	} else {
		d.ring[(d.first+d.n)&(len(d.ring)-1)] = item
	}
	d.n++
}

// pop removes the element at an end of a deque that is not empty.
func (d *deque) pop(at end) []byte {
	d.n--
	i := d.first
	if at == left {
		d.first = (d.first + 1) & (len(d.ring) - 1)
	} else {
		i = (d.first + d.n) & (len(d.ring) - 1)
	}
	item := d.ring[i]
	d.ring[i] = nil
	if len(d.ring) > 64 && d.n < len(d.ring)/4 {
		d.resize(len(d.ring) / 2)
	}
	return item
}

func (d *deque) resize(size int) {
	ring := make([][]byte, size)
	for i := range d.n {
		ring[i] = d.ring[(d.first+i)&(len(d.ring)-1)]
	}
	d.ring, d.first = ring, 0
}
