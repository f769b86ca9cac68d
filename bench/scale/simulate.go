package scale

import (
	"math/rand/v2"

	"github.com/vigil-go/vigil/bench/measure"
)

// A Place is where a bucket is used.
type Place struct {
	Cores  int     // of the server
	Shared bool    // all processes run on these
	Link   float64 // bytes a second that leave the server; zero means no limit
	Hop    float64 // time from one process to the next, in seconds
	Synced bool    // the server syncs each write
}

// A Drive is how often is written: Rate times a second at random, or by Writers that write one
// value after the other.
type Drive struct {
	Rate    float64
	Writers int
}

// A Result is what a simulation says.
type Result struct {
	Writes float64 // a second
	// Time from Store until a process has the value, in seconds. Late is the 99th percentile.
	Mean, Median, Late float64
	// How busy the server's processors, its link, its disk and a follower were, at most 1.
	Server, Link, Disk, Follower float64
}

// A world is a simulation.
type world struct {
	clock
	costs     Costs
	place     Place
	server    *pool
	machines  []*pool // of the followers
	link      line
	disk      line
	source    *actor   // of writes at random
	writers   []*actor // processes, or goroutines
	stream    *actor
	synced    *actor // what the server does when the disk has a write
	followers []*actor
	warm      float64 // what begins before is not counted
	writes    int
	took      []float64
}

// Simulate simulates so many followers for so many seconds. The first fifth is not counted.
func Simulate(c Costs, p Place, followers int, d Drive, seconds float64) Result {
	w := &world{costs: c, place: p, warm: seconds / 5}
	w.link.clock, w.disk.clock = &w.clock, &w.clock
	w.server = w.pool(p.Cores)
	w.stream, w.synced = w.actor(w.server, c.Write, w.stored), w.actor(w.server, 0, w.tell)
	for range followers {
		w.addFollower(d)
	}
	w.drive(d)
	w.run(seconds)
	return w.result(seconds)
}

func (w *world) pool(cores int) *pool { return &pool{clock: &w.clock, free: cores} }

func (w *world) actor(p *pool, cost float64, then func(job)) *actor {
	return &actor{pool: p, cost: cost, then: then}
}

// elsewhere returns the processors of another process than the server.
func (w *world) elsewhere(cores int) *pool {
	if w.place.Shared {
		return w.server
	}
	return w.pool(cores)
}

// addFollower adds a process, and what the server does for it.
func (w *world) addFollower(d Drive) {
	first := len(w.followers) == 0
	on := w.elsewhere(1)
	w.machines = append(w.machines, on)
	follower := w.actor(on, w.costs.Follow, func(j job) {
		if j.born >= w.warm {
			w.took = append(w.took, w.now-j.born)
		}
		if first && d.Writers > 0 { // it has seen its write
			w.begin(w.writers[j.which], j.which)
		}
	})
	w.followers = append(w.followers, w.actor(w.server, w.costs.Deliver, func(j job) {
		delay := w.place.Hop
		if w.place.Link > 0 {
			delay += w.link.pass(w.costs.Event / w.place.Link)
		}
		w.add(delay, follower, j, false)
	}))
}

// drive makes who writes.
func (w *world) drive(d Drive) {
	send := func(j job) { w.add(w.place.Hop, w.stream, j, false) }
	on := w.elsewhere(max(d.Writers, 1<<20))
	for i := range max(d.Writers, 1) {
		w.writers = append(w.writers, w.actor(on, w.costs.Writer, send))
		if d.Writers > 0 {
			w.begin(w.writers[i], i)
		}
	}
	if d.Writers > 0 {
		return
	}
	random := rand.New(rand.NewPCG(1, 2))
	w.source = w.actor(w.pool(1), 0, func(job) {
		w.begin(w.writers[0], 0)
		w.add(random.ExpFloat64()/d.Rate, w.source, job{}, false)
	})
	w.add(0, w.source, job{}, false)
}

// begin begins a write.
func (w *world) begin(a *actor, which int) {
	if w.now >= w.warm {
		w.writes++
	}
	a.get(job{w.now, which})
}

// tell has the server tell all followers.
func (w *world) tell(j job) {
	for _, f := range w.followers {
		f.get(j)
	}
}

// stored happens when the server has handled a write.
func (w *world) stored(j job) {
	if !w.place.Synced {
		w.tell(j)
		return
	}
	w.add(w.disk.pass(w.costs.Sync), w.synced, j, false)
}

func (w *world) result(seconds float64) Result {
	r := Result{
		Mean:   measure.Mean(w.took),
		Writes: float64(w.writes) / (seconds - w.warm),
		Median: measure.Quantile(w.took, 0.5), Late: measure.Quantile(w.took, 0.99),
		Server: w.server.work / seconds / float64(w.place.Cores), Link: w.link.work / seconds, Disk: w.disk.work / seconds,
	}
	if !w.place.Shared {
		for _, p := range w.machines {
			r.Follower = max(r.Follower, p.work/seconds)
		}
	}
	return r
}
