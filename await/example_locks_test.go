package await_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
)

// Wait for a lock no longer than until a deadline.
func ExampleMutex() {
	var m await.Mutex
	if err := m.Lock(context.Background()); err != nil {
		panic(err)
	}

	soon, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := m.Lock(soon)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	m.Unlock()
	fmt.Println(m.Lock(context.Background()))
	m.Unlock()
	// Output:
	// true
	// <nil>
}

// Do without the lock if it is not free.
func ExampleMutex_TryLock() {
	var m await.Mutex
	fmt.Println(m.TryLock(), m.TryLock())
	fmt.Println(m.Locked(), m.Waiters())
	m.Unlock()
	fmt.Println(m.Locked())
	// Output:
	// true false
	// true 0
	// false
}

// Take whichever of two locks is free first.
func ExampleMutex_OnLock() {
	var printers [2]await.Mutex
	_ = printers[0].TryLock() // is busy

	i, err := await.Select(context.Background(), printers[0].OnLock(), printers[1].OnLock())
	if err != nil {
		panic(err)
	}
	defer printers[i].Unlock()
	fmt.Println("printer", i)
	// Output: printer 1
}

// Find out who holds a lock.
func ExampleMutex_Holder() {
	var m await.Mutex
	m.RecordHolder(true)
	_ = m.TryLock()
	defer m.Unlock()

	holder, ok := m.Holder()
	fmt.Println(ok, holder.Func)
	// Output: true github.com/vigil-go/vigil/await_test.ExampleMutex_Holder
}

// Let many read at a time, and one write.
func ExampleRWMutex() {
	var rw await.RWMutex
	config := map[string]string{"color": "red"}
	ctx := context.Background()

	read := func(key string) (string, error) {
		if err := rw.RLock(ctx); err != nil {
			return "", err
		}
		defer rw.RUnlock()
		return config[key], nil
	}
	write := func(key, value string) error {
		if err := rw.Lock(ctx); err != nil {
			return err
		}
		defer rw.Unlock()
		config[key] = value
		return nil
	}

	fmt.Println(write("color", "green"))
	fmt.Println(read("color"))
	// Output:
	// <nil>
	// green <nil>
}

// Refresh a cache in the background only if it is not in use.
func ExampleRWMutex_TryLock() {
	var rw await.RWMutex
	fmt.Println(rw.TryRLock(), rw.TryRLock())
	fmt.Println(rw.Readers(), "readers; locked for writing:", rw.TryLock())

	rw.RUnlock()
	rw.RUnlock()
	fmt.Println(rw.Readers(), "readers; locked for writing:", rw.TryLock(), rw.Locked())
	rw.Unlock()
	// Output:
	// true true
	// 2 readers; locked for writing: false
	// 0 readers; locked for writing: true true
}

// Read from whichever of two copies can be read first.
func ExampleRWMutex_OnRLock() {
	var copies [2]await.RWMutex
	_ = copies[0].TryLock() // is being written

	i, err := await.Select(context.Background(), copies[0].OnRLock(), copies[1].OnRLock())
	if err != nil {
		panic(err)
	}
	defer copies[i].RUnlock()
	fmt.Println("copy", i)
	// Output: copy 1
}

// Write to whichever of two copies is not in use.
func ExampleRWMutex_OnLock() {
	var copies [2]await.RWMutex
	_ = copies[0].TryRLock() // is being read

	i, err := await.Select(context.Background(), copies[0].OnLock(), copies[1].OnLock())
	if err != nil {
		panic(err)
	}
	defer copies[i].Unlock()
	fmt.Println("copy", i)
	// Output: copy 1
}

// Limit how much is in use at a time. What is asked for may differ in size.
func ExampleSemaphore() {
	memory := await.NewSemaphore(100)
	ctx := context.Background()

	var all sync.WaitGroup
	for _, size := range []int64{60, 30, 50, 100} {
		all.Go(func() {
			if err := memory.Acquire(ctx, size); err != nil {
				return
			}
			defer memory.Release(size)
			// at most 100 are in use here
		})
	}
	all.Wait()
	fmt.Println(memory.Held(), memory.Acquire(ctx, 101))
	// Output: 0 await: more than the limit of the Semaphore
}

// Refuse what would exceed the limit, instead of letting it wait.
func ExampleSemaphore_TryAcquire() {
	connections := await.NewSemaphore(2)
	fmt.Println(connections.TryAcquire(1), connections.TryAcquire(1), connections.TryAcquire(1))
	fmt.Println(connections.Held(), "of", connections.Limit())
	connections.Release(2)
	// Output:
	// true true false
	// 2 of 2
}

// Change the limit while permits are held.
func ExampleSemaphore_SetLimit() {
	workers := await.NewSemaphore(2)
	_ = workers.TryAcquire(2)

	workers.SetLimit(1) // the holders keep what they have
	fmt.Println(workers.Held(), "of", workers.Limit(), workers.Waiters())
	workers.Release(1)
	fmt.Println(workers.TryAcquire(1))
	workers.SetLimit(3)
	fmt.Println(workers.TryAcquire(2))
	// Output:
	// 2 of 1 0
	// false
	// true
}

// Acquire from whichever of two pools has enough.
func ExampleSemaphore_OnAcquire() {
	small, large := await.NewSemaphore(2), await.NewSemaphore(8)
	_ = small.TryAcquire(1)

	pools := []*await.Semaphore{small, large}
	i, err := await.Select(context.Background(), small.OnAcquire(2), large.OnAcquire(2))
	if err != nil {
		panic(err)
	}
	defer pools[i].Release(2)
	fmt.Println("pool", i, "has", pools[i].Limit()-pools[i].Held(), "left")
	// Output: pool 1 has 6 left
}
