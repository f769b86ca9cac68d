// Package copied copies a Once in every way that go vet must report.
package copied

import (
	"context"

	"github.com/vigil-go/vigil/await"
)

func one(context.Context) (int, error) { return 1, nil }

func byValue(o await.Once[int]) { o.Do(context.Background(), one) }

type page struct{ o await.Once[int] }

func (p page) byStruct() { p.o.Do(context.Background(), one) }

func use() {
	var o await.Once[int]
	other := o
	byValue(other)
	page{}.byStruct()
}
