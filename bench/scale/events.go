package scale

// A clock has the events that are still to come, in their order.
type clock struct {
	now    float64 // seconds
	events events
	count  int64
}

// An event is that an actor gets a job, or is done with one.
type event struct {
	at    float64
	order int64 // of events at the same time
	actor *actor
	job   job
	done  bool
}

func (c *clock) add(delay float64, a *actor, j job, done bool) {
	c.count++
	c.events.push(event{c.now + delay, c.count, a, j, done})
}

// run lets things happen until a time.
func (c *clock) run(until float64) {
	for len(c.events) > 0 && c.events[0].at <= until {
		e := c.events.pop()
		c.now = e.at
		if e.done {
			e.actor.finish(e.job)
		} else {
			e.actor.get(e.job)
		}
	}
	c.now = until
}

// A job is a step of a write.
type job struct {
	born  float64 // when Store was called
	which int     // of the actors that begin writes
}

// A pool is the processors that some actors share.
type pool struct {
	clock *clock
	free  int
	ready queue[*actor]
	work  float64 // seconds that they were busy
}

// An actor does one job after the other, on a processor of its pool.
type actor struct {
	pool  *pool
	cost  float64
	then  func(j job) // when a job is done
	jobs  queue[job]
	awake bool // it has a processor, or waits for one
	turn  int  // jobs since it got its processor
}

// maxTurn is how many jobs an actor does before others get its processor.
const maxTurn = 64

func (a *actor) get(j job) {
	a.jobs.push(j)
	if !a.awake {
		a.awake = true
		a.pool.ready.push(a)
		a.pool.dispatch()
	}
}

func (p *pool) dispatch() {
	for p.free > 0 && p.ready.len() > 0 {
		p.free--
		a := p.ready.pop()
		a.turn = 0
		a.begin()
	}
}

func (a *actor) begin() {
	a.pool.work += a.cost
	a.pool.clock.add(a.cost, a, a.jobs.pop(), true)
}

func (a *actor) finish(j job) {
	a.then(j)
	a.turn++
	if a.jobs.len() > 0 && (a.turn < maxTurn || a.pool.ready.len() == 0) {
		a.begin()
		return
	}
	a.pool.free++
	if a.awake = a.jobs.len() > 0; a.awake {
		a.pool.ready.push(a)
	}
	a.pool.dispatch()
}

// A line is a network connection or a disk: it takes one thing after the other.
type line struct {
	clock *clock
	until float64 // when it is free
	work  float64 // seconds that it was busy
}

// pass returns the delay of a thing that takes so many seconds of the line.
func (l *line) pass(took float64) float64 {
	l.until = max(l.until, l.clock.now) + took
	l.work += took
	return l.until - l.clock.now
}

// A queue is first in, first out.
type queue[T any] struct {
	all  []T
	head int
}

func (q *queue[T]) len() int { return len(q.all) - q.head }

func (q *queue[T]) push(v T) {
	if q.head > 64 && q.head > len(q.all)/2 {
		q.all = append(q.all[:0], q.all[q.head:]...)
		q.head = 0
	}
	q.all = append(q.all, v)
}

func (q *queue[T]) pop() T {
	v := q.all[q.head]
	q.head++
	return v
}

// events is a heap with the earliest event first. Package container/heap would allocate each.
type events []event

func (e event) before(f event) bool { return e.at < f.at || e.at == f.at && e.order < f.order }

func (h *events) push(e event) {
	*h = append(*h, e)
	all := *h
	for i := len(all) - 1; i > 0; {
		parent := (i - 1) / 2
		if !all[i].before(all[parent]) {
			return
		}
		all[i], all[parent] = all[parent], all[i]
		i = parent
	}
}

func (h *events) pop() event {
	all := *h
	first, last := all[0], len(all)-1
	all[0] = all[last]
	all = all[:last]
	*h = all
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < last && all[child+1].before(all[child]) {
			child++
		}
		if child >= last || !all[child].before(all[i]) {
			return first
		}
		all[i], all[child] = all[child], all[i]
		i = child
	}
}
