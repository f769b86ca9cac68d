package scale

// Deadline is how late a process may see a write, of which the most writes are found. One of a
// hundred may be later.
const Deadline = 0.05

// A Most is the most writes a second that processes can follow.
type Most struct {
	Followers int
	Writes    float64
	Limit     string // what is busy then
	Half      Result // with half as many writes
	Out       float64
	In        float64 // bytes a second from the server, to all and to each, with the most writes
}

// A simulation has about size events of followers, but at least leastWrites writes.
const size, leastWrites = 12_000, 60

// FindMost finds the most writes that so many processes can follow.
func FindMost(c Costs, p Place, followers int) Most {
	m := Most{Followers: followers}
	high, limit := c.bound(p, followers)
	m.Limit = limit
	low := 0.0
	for range 6 {
		rate := (low + high) / 2
		if simulateRate(c, p, followers, rate).keepsUp() {
			low = rate
		} else {
			high = rate
		}
	}
	m.Writes, m.In = low, low*c.Event
	m.Out = m.In * float64(followers)
	m.Half = simulateRate(c, p, followers, low/2)
	return m
}

func simulateRate(c Costs, p Place, followers int, rate float64) Result {
	writes := max(size/float64(followers), leastWrites)
	return Simulate(c, p, followers, Drive{Rate: rate}, writes/rate)
}

func (r Result) keepsUp() bool {
	return r.Late <= Deadline && max(r.Server, r.Link, r.Disk, r.Follower) < 0.99
}

// bound returns the most writes a second that each of the parts allows by itself, and which
// part that is.
func (c Costs) bound(p Place, followers int) (most float64, part string) {
	n := float64(followers)
	parts := []struct {
		name string
		took float64 // seconds for a write
	}{
		{"the server's processors", (c.Write + n*c.Deliver) / float64(p.Cores)},
		{"the stream, which takes one write after the other", c.Write},
		{"each follower's processor", c.Follow},
	}
	if p.Link > 0 {
		parts = append(parts, struct {
			name string
			took float64
		}{"the server's network connection", n * c.Event / p.Link})
	}
	if p.Synced {
		parts = append(parts, struct {
			name string
			took float64
		}{"the server's disk", c.Sync})
	}
	longest := parts[0]
	for _, one := range parts[1:] {
		if one.took > longest.took {
			longest = one
		}
	}
	return 1 / longest.took, longest.name
}
