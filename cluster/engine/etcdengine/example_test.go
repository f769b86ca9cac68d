package etcdengine_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

// startExample starts an etcd server, and returns its address.
func startExample() (address string, stop func()) {
	all, err := launch(1, alone...)
	if err != nil {
		panic(err)
	}
	return all[0].address(), func() { stopAll(all) }
}

// Share a map by an etcd cluster.
func ExampleOpen() {
	address, stop := startExample() // or that of a server that is there
	defer stop()
	ctx := context.Background()
	e, err := etcdengine.Open(ctx, &etcdengine.Options{Bucket: "jobs", Addresses: []string{address}})
	if err != nil {
		fmt.Println(err)
		return
	}
	bucket, err := cluster.Open(ctx, &cluster.Options{Engine: e})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bucket.Close() // and the engine
	answers, err := cluster.NewMap[int](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	go answers.Store(ctx, "answer", 42) // on any machine
	v, err := answers.Wait(ctx, "answer")
	fmt.Println(v, err)
	// Output: 42 <nil>
}

// Write a key on the condition that nobody has changed it, without a Bucket.
func ExampleEngine_Write() {
	address, stop := startExample()
	defer stop()
	ctx := context.Background()
	e, err := etcdengine.Open(ctx, &etcdengine.Options{Bucket: "config", Addresses: []string{address}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	revision, err := e.Write(ctx, engine.Write{Key: "limit", Value: []byte("10")})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = e.Write(ctx, engine.Write{Key: "limit", Value: []byte("20"), Expected: revision})
	fmt.Println(err)
	_, err = e.Write(ctx, engine.Write{Key: "limit", Value: []byte("30"), Expected: revision})
	entry, ok, _ := e.Get(ctx, "limit", 0)
	fmt.Println(string(entry.Value), ok, err != nil)
	// Output:
	// <nil>
	// 20 true true
}
