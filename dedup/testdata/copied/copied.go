// Package copied copies a Group in every way that go vet must report.
package copied

import "github.com/vigil-go/vigil/dedup"

type holder struct{ g dedup.Group[string, int] }

func byValue(g dedup.Group[string, int]) { g.Forget("") }

func byAssignment(g *dedup.Group[string, int]) {
	other := *g
	other.Forget("")
}

func byStruct(h holder) { h.g.Forget("") }
