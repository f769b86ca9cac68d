package cluster_test

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
)

// A funcCodec decodes strings by a function.
type funcCodec struct {
	cluster.Codec
	decode func(data []byte) string
}

func (c funcCodec) Decode(data []byte, to any) error {
	*to.(*string) = c.decode(data)
	return nil
}

// TestNewMapExitsWhileAChangeComes: the Bucket has the change for the next NewMap.
func TestNewMapExitsWhileAChangeComes(t *testing.T) {
	f, b := newFake(t)
	f.tell(putEvent(1, "key", `"old"`), synced(1))
	decodes, exit, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
	codec := funcCodec{cluster.JSON, func(data []byte) (s string) {
		_ = json.Unmarshal(data, &s)
		decodes <- struct{}{}
		if s == "old" {
			<-exit
			runtime.Goexit()
		}
		<-goOn
		return s
	}}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_, _ = cluster.NewMap[string](b, &cluster.MapOptions{Codec: codec})
	}()
	<-decodes
	f.tell(putEvent(2, "key", `"new"`))
	<-decodes
	close(exit)
	<-exited
	close(goOn)
	f.tell(synced(2), synced(2)) // the change was applied before the second is taken
	m := newMap[string](t, b)
	v, _ := m.Load("key")
	require.Equal(t, "new", v)
}

// TestDecodeExitsWhileNewMapLoads: the value before is not there.
func TestDecodeExitsWhileNewMapLoads(t *testing.T) {
	f, b := newFake(t)
	f.tell(putEvent(1, "key", `"old"`), synced(1))
	decodes, goOn := make(chan struct{}), make(chan struct{})
	codec := funcCodec{cluster.JSON, func(data []byte) (s string) {
		_ = json.Unmarshal(data, &s)
		if s == "bad" {
			runtime.Goexit()
		}
		decodes <- struct{}{}
		<-goOn
		return s
	}}
	made := start(func() (*cluster.Map[string], error) {
		return cluster.NewMap[string](b, &cluster.MapOptions{Codec: codec})
	})
	<-decodes
	f.tell(putEvent(2, "key", `"bad"`), synced(2), synced(2))
	close(goOn)
	m := (<-made).v
	_, ok := m.Load("key")
	require.False(t, ok)
}
