package uringwake

import "sync/atomic"

// mail is what the world leaves for a loop: a task to resume, or a function to
// run. A task has one of its own, so that a wake allocates nothing.
type mail struct {
	next *mail
	task *Task
	post func()
}

// sealed is the head of a mailbox that takes no more.
var sealed = new(mail)

// mailbox is a lock-free list: any goroutine pushes, the loop takes all.
//
// head's CompareAndSwap in push pairs with the Swap in take: what happened
// before a push happens before the mail is looked at. Both are also one half
// of the loop's protocol for going to sleep; see [door].
type mailbox struct{ head atomic.Pointer[mail] }

// push leaves m, or reports false if the mailbox is sealed.
func (b *mailbox) push(m *mail) bool {
	for {
		old := b.head.Load()
		if old == sealed {
			return false
		}
		m.next = old
		if b.head.CompareAndSwap(old, m) {
			return true
		}
	}
}

func (b *mailbox) empty() bool { return b.head.Load() == nil }

// take empties the mailbox into q, the oldest first. The loop's.
func (b *mailbox) take(q *mailQueue) int {
	if b.empty() {
		return 0
	}
	m := b.head.Swap(nil)
	last, n := m, 0
	var first *mail
	for ; m != nil; n++ {
		m, m.next, first = m.next, first, m
	}
	q.join(first, last)
	return n
}

// seal closes the mailbox for good, unless there is mail. The loop's.
func (b *mailbox) seal() bool { return b.head.CompareAndSwap(nil, sealed) }

// mailQueue is the mail that a loop has taken and will look at, in order.
type mailQueue struct{ first, last *mail }

func (q *mailQueue) empty() bool { return q.first == nil }

func (q *mailQueue) push(m *mail) {
	m.next = nil
	q.join(m, m)
}

func (q *mailQueue) join(first, last *mail) {
	if q.first == nil {
		q.first = first
	} else {
		q.last.next = first
	}
	q.last = last
}

func (q *mailQueue) pop() *mail {
	m := q.first
	q.first, m.next = m.next, nil
	return m
}
