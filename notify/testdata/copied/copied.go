// Package copied does with a Notify what must not be done. TestVetFindsCopies
// has go vet look at it.
package copied

import "github.com/vigil-go/vigil/notify"

func byValue(n notify.Notify) { n.NotifyOne() }

type queue struct{ n notify.Notify }

func (q queue) byStruct() { q.n.NotifyOne() }

func use() {
	var n notify.Notify
	other := n
	byValue(other)
	queue{}.byStruct()
}
