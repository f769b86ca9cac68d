package uringwake

import "sync/atomic"

// mail is what a loop is sent: a task to resume, or a function to run. A task has a
// mail of its own, so that a wake allocates nothing.
type mail = node[errand]

type errand struct {
	task *Task
	post func()
}

// callTo is the mail that has the loop run f.
func callTo(f func()) *mail { return &mail{item: errand{post: f}} }

// sealed is the head of a mailbox that takes no more mail.
var sealed = new(mail)

// mailbox is a lock-free list: any goroutine pushes, the loop takes all of it.
//
// head's CompareAndSwap in push pairs with the Swap in take: what happened
// before a push happens before the loop looks at the mail. Both are also one half of
// the loop's protocol for going to sleep, see [door].
type mailbox struct{ head atomic.Pointer[mail] }

// push adds m, or reports false if the mailbox is sealed.
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

// take empties the mailbox into q, the oldest first, and returns how many. Only the
// loop calls it.
func (b *mailbox) take(q *fifo[errand]) int {
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

// seal closes the mailbox for good, unless there is mail. Only the loop calls it.
func (b *mailbox) seal() bool { return b.head.CompareAndSwap(nil, sealed) }
