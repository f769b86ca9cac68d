package uringwake

// fifo is a first-in, first-out queue of nodes. One goroutine at a time uses it.
type fifo[T any] struct{ first, last *node[T] }

// node is an item's place in a list. The item contains its node, or the node the
// item, so that queuing allocates nothing.
type node[T any] struct {
	next *node[T]
	item T
}

func (q *fifo[T]) empty() bool { return q.first == nil }

func (q *fifo[T]) push(n *node[T]) {
	n.next = nil
	q.join(n, n)
}

// join appends the list from first to last.
func (q *fifo[T]) join(first, last *node[T]) {
	if q.first == nil {
		q.first = first
	} else {
		q.last.next = first
	}
	q.last = last
}

func (q *fifo[T]) pop() *node[T] {
	n := q.first
	q.first, n.next = n.next, nil
	return n
}

// remove takes n out of the queue, wherever it stands.
func (q *fifo[T]) remove(n *node[T]) {
	var before *node[T]
	m := q.first
	for ; m != nil && m != n; m = m.next {
		before = m
	}
	switch {
	case m == nil:
		return
	case before == nil:
		q.first = n.next
	default:
		before.next = n.next
	}
	if q.last == n {
		q.last = before
	}
	n.next = nil
}
