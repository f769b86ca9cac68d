package uringnet

import "github.com/vigil-go/vigil/uringwake/internal/bridge"

// join has the side's deadline, and the end of the socket, interrupt m's operations.
func (s *side) join(m *message) error {
	if err := s.sock.use(); err != nil {
		return err
	}
	s.mu.Lock()
	err := s.ended()
	if err == nil {
		s.messages.add(m)
	}
	s.mu.Unlock()
	if err != nil {
		s.sock.leave()
	}
	return err
}

func (s *side) part(m *message) {
	s.mu.Lock()
	s.messages.remove(m)
	s.mu.Unlock()
	s.sock.leave()
}

// messageList has the messages of a side that tasks transfer.
type messageList struct{ first *message }

func (l *messageList) add(m *message) {
	m.interrupter.Reset()
	m.next = l.first
	if l.first != nil {
		l.first.previous = m
	}
	l.first = m
}

func (l *messageList) remove(m *message) {
	if m.previous == nil {
		l.first = m.next
	} else {
		m.previous.next = m.next
	}
	if m.next != nil {
		m.next.previous = m.previous
	}
	m.next, m.previous = nil, nil
}

// interrupters returns those of all messages. By the time that they are called, some may
// belong to other messages, which then go on.
func (l *messageList) interrupters() (all []*bridge.Interrupter) {
	for m := l.first; m != nil; m = m.next {
		all = append(all, &m.interrupter)
	}
	return all
}
