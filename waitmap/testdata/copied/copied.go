// Package copied copies a Map in every way that go vet must report.
package copied

import "github.com/vigil-go/vigil/waitmap"

type holder struct{ m waitmap.Map[string, int] }

func byValue(m waitmap.Map[string, int]) int { return m.Len() }

func byAssignment(m *waitmap.Map[string, int]) int {
	other := *m
	return other.Len()
}

func byStruct(h holder) int { return h.m.Len() }
