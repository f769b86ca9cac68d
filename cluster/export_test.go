package cluster

// FlightWaits reports whether a flight of key waits for another machine.
func (g *Group[V]) FlightWaits(key string) bool { return g.flightWaits(key) }

// ResultRecord returns the record of a result, and LeaseRecord that of another Group's
// lease.
func ResultRecord(data []byte) []byte {
	return record{state: loaded, holder: newID(), name: newID(), data: data}.encode()
}

func LeaseRecord() []byte { return record{state: leased, holder: newID(), name: newID()}.encode() }

// FlightCallers returns the number of callers on this machine that wait for a flight of key.
func (g *Group[V]) FlightCallers(key string) int {
	for k, info := range g.local.InFlight() {
		if k == key {
			return info.Waiters
		}
	}
	return 0
}

// Waiting returns the number of calls of Acquire on this machine that wait.
func (s *Semaphore) Waiting() int {
	if s.changes.Waiters() == 0 { // the first in line is at work
		return 0
	}
	return s.line.Waiters() + 1
}

// FlightWaits reports whether a flight of key waits for another machine.
func (c *Cache[V]) FlightWaits(key string) bool { return c.flightWaits(key) }

func (r *records) flightWaits(key string) bool {
	r.mu.Lock()
	w := r.watched[key]
	r.mu.Unlock()
	return w != nil && w.Waiters() > 0
}

// WantedKeys returns the number of keys whose values cases of OnTake want.
func (m *Map[V]) WantedKeys() int {
	m.offers.mu.Lock()
	defer m.offers.mu.Unlock()
	return len(m.offers.keys)
}
