package main

import (
	"context"
	"fmt"
)

// A direct cache is the one most programs start with, to compare with: the
// same shelf and the same time to live, and every caller that misses loads for
// itself, under its own context.
type direct[K comparable, V any] struct {
	values shelf[K, V]
	load   loader[K, V]
}

func newDirect[K comparable, V any](load loader[K, V], o shelfOptions[V]) *direct[K, V] {
	d := &direct[K, V]{load: load}
	d.values.shelfOptions = o
	return d
}

// Get returns the value of key, and where it came from.
func (d *direct[K, V]) Get(ctx context.Context, key K) (V, source, error) {
	if v, ok := d.values.get(key); ok {
		return v, hit, nil
	}
	d.values.waiting.add(1)
	defer d.values.waiting.add(-1)

	v, err := d.load(ctx, key)
	if err != nil {
		var none V
		return none, led, fmt.Errorf("get %v: %w", key, err)
	}
	d.values.publish(key, v)
	return v, led, nil
}
