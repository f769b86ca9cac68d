// Package copied copies a Group in every way that go vet must report.
package copied

import "github.com/vigil-go/vigil/waitgroup"

type holder struct{ g waitgroup.Group }

func byValue(g waitgroup.Group) int { return g.Count() }

func byAssignment(g *waitgroup.Group) int {
	other := *g
	return other.Count()
}

func byStruct(h holder) int { return h.g.Count() }
