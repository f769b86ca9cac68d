package linear_test

// queueCapacities are those of the two Queues of a history.
var queueCapacities = [2]int{1, 2}

// queueState is the state of two Queues and the calls that use them.
type queueState struct {
	queues  [2]queueLine
	pending string // the numbers of the Selects that are in line for their first case only, sorted
	out     string // the numbers of the calls that were served, sorted, each with what it took
}

type queueLine struct {
	values string
	line   string // the numbers of the waiters
	closed bool
}

// A choice is one thing that a call waits for.
type choice struct {
	queue int
	puts  bool
	v     int // to put
}

// ofSecondQueue marks a value in out that was taken from the second Queue. Values are less.
const ofSecondQueue = 128

// oneChoice is the value of a Select's result that stands for its second case. What the
// case took is added.
const oneChoice = 1000

// queueSpec is the model of two Queues. A Put has the number of the Queue and the value,
// and a Take the number of the Queue. A Select has both of each of its two cases, which
// are of different Queues: the number, 1 if the case puts, and the value. It gets in line for one
// after the other.
var queueSpec = &spec{
	init:      queueState{},
	partition: func(*op) int { return 0 },
	parts:     queueParts,
	step: func(state any, s step, calls []*op) (any, bool) {
		next := state.(queueState)
		ok := next.step(s, calls)
		return next, ok
	},
}

// queueParts: a wait that failed and was not known to be in line may never have been
// there.
func queueParts(o *op) []part {
	n := len(choicesOf(o))
	switch {
	case n > 0 && o.got == (result{err: errContext}) && o.parked == 0:
		return nil
	case n == 1:
		return []part{enter, leave}
	case n == 2:
		return []part{enter, enterNext, leave}
	default:
		return []part{whole}
	}
}

// choicesOf returns what a call that may sleep waits for.
func choicesOf(o *op) []choice {
	switch o.name {
	case "Put":
		return []choice{{o.arg(0), true, o.arg(1)}}
	case "Take":
		return []choice{{o.arg(0), false, 0}}
	case "Select":
		return []choice{{o.arg(0), o.arg(1) == 1, o.arg(2)}, {o.arg(3), o.arg(4) == 1, o.arg(5)}}
	}
	return nil
}

// explains reports whether a call may have returned that its i-th choice happened.
func explains(o *op, i, took int, err string) bool {
	return o.got.err == err && o.got.v == i*oneChoice+took
}

func (s *queueState) step(e step, calls []*op) bool {
	switch q := e.arg(0); {
	case e.name == "TryPut":
		done, err, ok := s.put(q, e.arg(1), calls)
		return ok && e.got.ok == (done && err == "")
	case e.name == "TryTake":
		v, done, err, ok := s.take(q, calls)
		return ok && e.got.ok == (done && err == "") && e.got.v == v
	case e.name == "Len":
		return e.got.v == len(s.queues[q].values)
	case e.name == "Close":
		return s.close(q, calls)
	case e.part == enter:
		if len(choicesOf(e.op)) > 1 {
			s.pending = insert(s.pending, e.id)
		}
		return s.enter(e, 0, calls)
	case e.part == enterNext:
		var first bool
		s.pending, first = remove(s.pending, e.id)
		return first && (pairOf(s.out, e.id) >= 0 || s.enter(e, 1, calls))
	default:
		return s.leave(e, calls)
	}
}

// enter makes the i-th choice happen, or gets in line for it.
func (s *queueState) enter(e step, i int, calls []*op) bool {
	c := choicesOf(e.op)[i]
	var v int
	var done, ok bool
	var err string
	if c.puts {
		done, err, ok = s.put(c.queue, c.v, calls)
	} else {
		v, done, err, ok = s.take(c.queue, calls)
	}
	if !ok || !done {
		s.queues[c.queue].line += string([]byte{e.id})
		return ok
	}
	s.served(e.id, c.queue, v)
	return explains(e.op, i, v, err)
}

// served takes a call out of all lines. It took a value of the Queue, or 0: nothing.
func (s *queueState) served(id byte, queue, took int) {
	for i := range s.queues {
		s.queues[i].line, _ = remove(s.queues[i].line, id)
	}
	if took > 0 {
		took += queue * ofSecondQueue
	}
	s.out = flaggedOne(insertFlagged(s.out, id), id, byte(took))
}

// next serves the first waiter that puts, or takes. A Select in line for its first case
// only, whose second one happens, was perhaps not in line yet.
func (s *queueState) next(queue int, puts bool, took int, err string, calls []*op) (c choice, found, ok bool) {
	for line := s.queues[queue].line; line != ""; line = line[1:] {
		id := line[0]
		o, i := calls[id], 0
		list := choicesOf(o)
		if list[0].queue != queue {
			i = 1
		}
		if list[i].puts != puts {
			continue
		}
		if i == 0 && has(s.pending, id) && o.got.v >= oneChoice && o.got.err != errDied {
			s.queues[queue].line, _ = remove(s.queues[queue].line, id)
			continue
		}
		s.served(id, queue, took)
		return list[i], true, o.got.err == errDied || explains(o, i, took, err)
	}
	return c, false, true
}

func (s *queueState) put(queue, v int, calls []*op) (done bool, err string, ok bool) {
	q := &s.queues[queue]
	if q.closed {
		return true, errClosed, true
	}
	if _, found, ok := s.next(queue, false, v, "", calls); found || !ok {
		return true, "", ok
	}
	if len(q.values) >= queueCapacities[queue] {
		return false, "", true
	}
	q.values += string([]byte{byte(v)})
	return true, "", true
}

func (s *queueState) take(queue int, calls []*op) (v int, done bool, err string, ok bool) {
	q := &s.queues[queue]
	if q.values == "" {
		if q.closed {
			return 0, true, errClosed, true
		}
		return 0, false, "", true
	}
	v, q.values = int(q.values[0]), q.values[1:]
	if len(q.values) >= queueCapacities[queue] {
		return v, true, "", true
	}
	c, found, ok := s.next(queue, true, 0, "", calls)
	if found {
		q.values += string([]byte{byte(c.v)})
	}
	return v, true, "", ok
}

// close refuses the waiters. A Put or a Take that follows sees that the Queue is closed.
func (s *queueState) close(queue int, calls []*op) bool {
	s.queues[queue].closed = true
	for _, puts := range []bool{false, true} {
		for found := true; found; {
			var ok bool
			if _, found, ok = s.next(queue, puts, 0, errClosed, calls); !ok {
				return false
			}
		}
	}
	return true
}

// leave applies the return of a call that may sleep. One whose parker has panicked puts
// back what it was handed, before all others. A parker may wake without a reason, so
// that call may still be in line.
func (s *queueState) leave(e step, calls []*op) bool {
	if has(s.pending, e.id) {
		return false
	}
	i := pairOf(s.out, e.id)
	if i < 0 {
		inLine := false
		for q := range s.queues {
			rest, was := remove(s.queues[q].line, e.id)
			s.queues[q].line, inLine = rest, inLine || was
		}
		return inLine && e.got.v == 0 && (e.got.err == errContext || e.got.err == errDied)
	}
	took := int(s.out[i+1])
	s.out = s.out[:i] + s.out[i+2:]
	if e.got.err != errDied || took == 0 {
		return e.got.err != errContext
	}
	queue, took := took/ofSecondQueue, took%ofSecondQueue
	_, found, ok := s.next(queue, false, took, "", calls)
	if !found {
		s.queues[queue].values = string([]byte{byte(took)}) + s.queues[queue].values
	}
	return ok
}

func has(set string, id byte) bool {
	_, ok := remove(set, id)
	return ok
}
