package vigildebug_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// Serve the page on a listener of its own, which only operators reach.
func ExampleHandler() {
	answers := new(waitmap.Map[string, int])
	defer vigildebug.Map("answers", answers)()

	private := http.NewServeMux()
	private.Handle("/debug/vigil/", vigildebug.Handler())
	// go http.ListenAndServe("localhost:6060", private)

	page := httptest.NewRecorder()
	private.ServeHTTP(page, httptest.NewRequest("GET", "/debug/vigil/", nil))
	fmt.Println(page.Code, page.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

// Read what a registry has as JSON.
func ExampleRegistry_Handler() {
	var r vigildebug.Registry
	reload := new(notify.Notify)
	defer vigildebug.Notify("reload", reload, vigildebug.In(&r))()
	defer reload.Listen().Stop()

	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/debug/vigil/json", nil))
	var seen struct {
		Things []struct {
			Kind, Name string
			Metrics    map[string]float64
		}
	}
	err := json.Unmarshal(answer.Body.Bytes(), &seen)
	fmt.Println(seen.Things, err)
	// Output: [{notify reload map[waiters:1]}] <nil>
}

// See from within the program what is waited for.
func ExampleRegistry_Snapshot() {
	var r vigildebug.Registry
	answers := new(waitmap.Map[string, int])
	defer vigildebug.Map("answers", answers, vigildebug.In(&r), vigildebug.ShowKeys())()
	defer answers.Register("the question", nil).Stop()

	for _, thing := range r.Snapshot().Things {
		for _, w := range thing.Waits {
			fmt.Printf("%s %s: %d waits for %q\n", thing.Kind, thing.Name, w.Waiters, w.Key)
		}
	}
	// Output: map answers: 1 waits for "the question"
}

// Keep a history before a page is opened: take a snapshot at each tick of a time.Ticker.
func ExampleDefault() {
	defer vigildebug.WaitGroup("in flight", new(waitgroup.Group))()
	for _, thing := range vigildebug.Default().Snapshot().Things { // at each tick of a time.Ticker
		fmt.Println(thing.Kind, thing.Name)
	}
	// Output: waitgroup in flight
}

// Register one of each kind. What Map and the others return takes it out again.
func Example_everyKind() {
	var r vigildebug.Registry
	in := vigildebug.In(&r)
	load := func(_ context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil }
	users, err := dedup.NewCache(load, nil)
	if err != nil {
		panic(err)
	}
	defer users.Close()

	defer vigildebug.Map("answers", new(waitmap.Map[string, int]), in)()
	defer vigildebug.Group("pages", new(dedup.Group[string, string]), in)()
	defer vigildebug.Cache("users", users, in)()
	defer vigildebug.Notify("reload", new(notify.Notify), in)()
	defer vigildebug.WaitGroup("in flight", new(waitgroup.Group), in)()
	defer vigildebug.Mutex("ledger", new(await.Mutex), in)()
	defer vigildebug.RWMutex("config", new(await.RWMutex), in)()
	defer vigildebug.Semaphore("connections", await.NewSemaphore(10), in)()
	defer vigildebug.Queue("jobs", await.NewQueue[string](10), in)()
	for _, thing := range r.Snapshot().Things {
		fmt.Println(thing.Kind, thing.Name)
	}
	// Output:
	// cache users
	// group pages
	// map answers
	// notify reload
	// waitgroup in flight
	// mutex ledger
	// rwmutex config
	// semaphore connections
	// queue jobs
}

// Ask who holds a lock, and since when.
func ExampleMutex() {
	var r vigildebug.Registry
	ledger := new(await.Mutex)
	ledger.RecordHolder(true)
	defer vigildebug.Mutex("ledger", ledger, vigildebug.In(&r))()

	if err := ledger.Lock(context.Background()); err != nil {
		panic(err)
	}
	defer ledger.Unlock()
	for _, thing := range r.Snapshot().Things {
		fmt.Println(thing.Name, "is held by", thing.Holder.Func)
	}
	// Output: ledger is held by github.com/vigil-go/vigil/vigildebug_test.ExampleMutex
}

// Watch a loop. Where there are none, NewLoop's error says why.
func ExampleLoop() {
	var r vigildebug.Registry
	l, err := uringwake.NewLoop(nil)
	if err == nil {
		defer l.Close(context.Background())
		defer vigildebug.Loop("disk", l, vigildebug.In(&r))()
	}
	fmt.Println("watched or unsupported:", len(r.Snapshot().Things) == 1 || errors.Is(err, errors.ErrUnsupported))
	// Output: watched or unsupported: true
}

// Show an object of another package: its metrics, who waits for what, and who has a lease.
func ExampleRegister() {
	var r vigildebug.Registry
	defer vigildebug.Register("pool", "connections", func(d *vigildebug.Description) {
		d.Fact("server", "db-1")
		d.Gauge("idle", 2, "Connections that nobody uses.")
		d.Counter("dials", 7, "Connections that were made.")
		d.Plot("Connections", "idle", "dials")
		d.Wait(vigildebug.Wait{Key: "backup", Waiters: 3})
		d.Lease(vigildebug.Lease{Key: "backup", Holder: "host a", Fence: 12})
	}, vigildebug.In(&r), vigildebug.ShowKeys())()
	for _, thing := range r.Snapshot().Things {
		fmt.Println(thing.Name, thing.Facts, thing.Metrics[0].Name, thing.Metrics[0].Value)
		fmt.Println(thing.Waits[0].Key, "has", thing.Waits[0].Waiters, "waiters and is leased by", thing.Leases[0].Holder)
	}
	// Output:
	// connections [{server db-1}] idle 2
	// backup has 3 waiters and is leased by host a
}
