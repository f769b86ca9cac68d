package cluster

// FlightWaits reports whether a flight of key waits for another machine.
func (g *Group[V]) FlightWaits(key string) bool {
	g.mu.Lock()
	w := g.watched[key]
	g.mu.Unlock()
	return w != nil && w.Waiters() > 0
}
