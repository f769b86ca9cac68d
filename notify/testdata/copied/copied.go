// Package copied copies a Notify in every way that go vet must report.
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
