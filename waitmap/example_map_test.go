package waitmap_test

import (
	"fmt"
	"slices"

	"github.com/vigil-go/vigil/waitmap"
)

// Store sets a value, and Load returns it.
func ExampleMap_Store() {
	var m waitmap.Map[string, int]
	m.Store("a", 1)
	fmt.Println(m.Load("a"))
	fmt.Println(m.Load("b"))
	// Output:
	// 1 true
	// 0 false
}

// Load returns the zero value and false for a key that only has waiters.
func ExampleMap_Load() {
	m := waitmap.New[string, int](nil)
	f := m.Register("a", nil)
	fmt.Println(m.Load("a"))

	m.Store("a", 1)
	fmt.Println(m.Load("a"))
	fmt.Println(f.Result())
	// Output:
	// 0 false
	// 1 true
	// 1 true <nil>
}

// The first value that is stored stays.
func ExampleMap_LoadOrStore() {
	var m waitmap.Map[string, string]
	fmt.Println(m.LoadOrStore("leader", "alice"))
	fmt.Println(m.LoadOrStore("leader", "bob"))
	// Output:
	// alice false
	// alice true
}

// LoadAndDelete does not wait for a value, unlike Take.
func ExampleMap_LoadAndDelete() {
	var m waitmap.Map[string, int]
	m.Store("job", 1)
	fmt.Println(m.LoadAndDelete("job"))
	fmt.Println(m.LoadAndDelete("job"))
	// Output:
	// 1 true
	// 0 false
}

// Delete removes a key. Its waiters stay in line.
func ExampleMap_Delete() {
	var m waitmap.Map[string, int]
	m.Store("a", 1)
	m.Delete("a")
	f := m.Register("a", nil)
	m.Delete("a")
	_, done, _ := f.Result()
	fmt.Println(m.Len(), m.Waiters("a"), done)

	f.Stop()
	fmt.Println(m.Waiters("a"))
	// Output:
	// 0 1 false
	// 0
}

// Swap returns the value that it replaces.
func ExampleMap_Swap() {
	var m waitmap.Map[string, int]
	fmt.Println(m.Swap("version", 1))
	fmt.Println(m.Swap("version", 2))
	// Output:
	// 0 false
	// 1 true
}

// Change a value only if no other goroutine has changed it.
func ExampleCompareAndSwap() {
	var m waitmap.Map[string, int]
	m.Store("version", 1)
	fmt.Println(waitmap.CompareAndSwap(&m, "version", 1, 2))
	fmt.Println(waitmap.CompareAndSwap(&m, "version", 1, 3))
	fmt.Println(m.Load("version"))
	// Output:
	// true
	// false
	// 2 true
}

// Release a lease only if it still has the expected owner.
func ExampleCompareAndDelete() {
	var leases waitmap.Map[string, string]
	leases.Store("disk", "alice")
	fmt.Println(waitmap.CompareAndDelete(&leases, "disk", "bob"))
	fmt.Println(waitmap.CompareAndDelete(&leases, "disk", "alice"))
	// Output:
	// false
	// true
}

// Clear deletes all entries.
func ExampleMap_Clear() {
	var m waitmap.Map[string, int]
	m.Store("a", 1)
	m.Store("b", 2)
	fmt.Println(m.Len())
	m.Clear()
	fmt.Println(m.Len())
	// Output:
	// 2
	// 0
}

// Len counts entries, not keys that only have waiters.
func ExampleMap_Len() {
	var m waitmap.Map[string, int]
	m.Store("a", 1)
	defer m.Register("b", nil).Stop()
	fmt.Println(m.Len())
	// Output: 1
}

// Range stops when its function returns false.
func ExampleMap_Range() {
	var m waitmap.Map[string, int]
	for i, key := range []string{"a", "b", "c"} {
		m.Store(key, i+1)
	}
	sum := 0
	m.Range(func(_ string, value int) bool {
		sum += value
		return true
	})
	n := 0
	m.Range(func(string, int) bool { n++; return false })
	fmt.Println(sum, n)
	// Output: 6 1
}

// Loop over the entries, and change the map meanwhile.
func ExampleMap_All() {
	var m waitmap.Map[string, int]
	for i, key := range []string{"a", "b", "c"} {
		m.Store(key, i)
	}
	for key, value := range m.All() {
		if value%2 == 0 {
			m.Delete(key)
		}
	}
	fmt.Println(m.Len())
	fmt.Println(m.Load("b"))
	// Output:
	// 1
	// 1 true
}

// Collect the keys in order.
func ExampleMap_Keys() {
	var m waitmap.Map[string, int]
	m.Store("b", 2)
	m.Store("a", 1)
	fmt.Println(slices.Sorted(m.Keys()))
	// Output: [a b]
}

// Collect the values in order.
func ExampleMap_Values() {
	var m waitmap.Map[string, int]
	m.Store("b", 2)
	m.Store("a", 1)
	fmt.Println(slices.Sorted(m.Values()))
	// Output: [1 2]
}

// Make room for many entries at once.
func ExampleNew() {
	m := waitmap.New[string, int](&waitmap.Options[string]{Capacity: 1000})
	m.Store("a", 1)
	fmt.Println(m.Load("a"))
	// Output: 1 true
}
