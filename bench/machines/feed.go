package machines

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A stamp is the wall clock when a value was stored, in nanoseconds, and how large the value is.
type stamp struct {
	at   int64
	size int
}

// stampCodec notes how long values were under way. Processes of one machine share its clock.
type stampCodec struct{ arrivals *arrivals }

func (c stampCodec) Encode(v any) ([]byte, error) {
	s := v.(stamp)
	data := make([]byte, max(s.size, 8))
	binary.BigEndian.PutUint64(data, uint64(s.at))
	return data, nil
}

func (c stampCodec) Decode(data []byte, to any) error {
	at := int64(binary.BigEndian.Uint64(data))
	c.arrivals.add(float64(time.Now().UnixNano()-at) / 1e3)
	*to.(*stamp) = stamp{at, len(data)}
	return nil
}

// arrivals are the times for which values were under way, in microseconds.
type arrivals struct {
	mu  sync.Mutex
	all []float64
}

func (a *arrivals) add(us float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, us)
}

// take returns what came since the last take.
func (a *arrivals) take() []float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.all
	a.all = nil
	return all
}

// Arrived is what a Member has been told since the last question.
type Arrived struct {
	Times
	Bytes int64 // from the server, also for other things
}

// Arrivals waits until the Member has seen all that was written, and returns what came.
func (m *Member) Arrivals() (Arrived, error) { return tell[Arrived](m.machine, "arrivals", nil) }

func (m *member) arrivals(*struct{}) (Arrived, error) {
	if m.bucket == nil {
		return Arrived{}, errNotOpen
	}
	err := m.bucket.Sync(context.Background())
	return Arrived{timesOf(m.arrived.take()), m.read.Swap(0)}, err
}

// Writes are what a Member stores: values of so many bytes for so many keys in turn.
type Writes struct {
	For        time.Duration
	Keys       int
	ValueBytes int
	Goroutines int     // that store one value after the other
	Rate       float64 // writes a second, of all; zero means as many as can be
}

// Written says what came of Writes.
type Written struct {
	N    int
	Took time.Duration
}

// Write writes for a time.
func (m *Member) Write(w Writes) (Written, error) { return tell[Written](m.machine, "write", w) }

func (m *member) write(w Writes) (Written, error) {
	if m.feed == nil {
		return Written{}, errNotOpen
	}
	start := time.Now()
	var done atomic.Int64
	err := each(w.Goroutines, math.MaxInt, func(ctx context.Context, i int) error {
		if w.Rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(float64(i) / w.Rate * 1e9))))
		}
		if time.Since(start) > w.For {
			return errEnough
		}
		_, err := m.feed.Store(ctx, fmt.Sprintf("%08d", i%w.Keys), stamp{time.Now().UnixNano(), w.ValueBytes})
		if err == nil {
			done.Add(1)
		}
		return err
	})
	return Written{int(done.Load()), time.Since(start)}, err
}

// countingDialer counts the bytes that its connections read.
type countingDialer struct{ n *atomic.Int64 }

func (d *countingDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return countingConn{c, d.n}, nil
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}
