package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster"
)

// openExample opens a bucket on a server in this process.
func openExample() (b *cluster.Bucket, closeAll func()) {
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		panic(err)
	}
	b, err = cluster.Open(context.Background(), &cluster.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	return b, func() { b.Close(); os.RemoveAll(dir) }
}

// Wait for a value that another machine stores.
func ExampleMap_Wait() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
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

// Give each job to one worker of the cluster.
func ExampleMap_Take() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	jobs, err := cluster.NewMap[string](bucket, &cluster.MapOptions{Name: "jobs"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := jobs.Store(ctx, "next", "wash the dishes"); err != nil {
		fmt.Println(err)
		return
	}
	job, err := jobs.Take(ctx, "next")
	_, left := jobs.Load("next")
	fmt.Println(job, err, left)
	// Output: wash the dishes <nil> false
}

// Count in all machines together: read, and swap if nobody else was faster.
func ExampleMap_CompareAndSwap() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	counts, err := cluster.NewMap[int](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	add := func(n int) error {
		for {
			old, _ := counts.LoadEntry("visits") // revision 0 if the key is absent
			_, swapped, err := counts.CompareAndSwap(ctx, "visits", old.Revision, old.Value+n)
			if swapped || err != nil {
				return err
			}
		}
	}
	fmt.Println(add(2), add(3))
	fmt.Println(counts.Load("visits"))
	// Output:
	// <nil> <nil>
	// 5 true
}

// Elect one of several machines to do something.
func ExampleMap_LoadOrStore() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	leaders, err := cluster.NewMap[string](bucket, &cluster.MapOptions{Codec: cluster.Raw})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, host := range []string{"host a", "host b"} {
		leader, loaded, err := leaders.LoadOrStore(ctx, "migration", host)
		fmt.Println(leader, loaded, err)
	}
	// Output:
	// host a false <nil>
	// host a true <nil>
}

// Follow a setting that any machine may change.
func ExampleMap_Watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bucket, closeAll := openExample()
	defer closeAll()
	settings, err := cluster.NewMap[int](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	settings.Store(ctx, "limit", 10)
	for limit, err := range settings.Watch(ctx, "limit") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(limit)
		if limit == 20 {
			return
		}
		settings.Store(ctx, "limit", 20)
	}
	// Output:
	// 10
	// 20
}

// Load something expensive once for all machines that ask for it at the same time.
func ExampleGroup_Do() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	reports, err := cluster.NewGroup[string](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := reports.Do(ctx, "march", func(ctx context.Context) (string, error) {
		if _, ok := cluster.Fence(ctx); !ok { // for stores that refuse what is late
			return "", errors.New("no fence")
		}
		return "the report of March", nil
	})
	fmt.Println(report, err)
	// Output: the report of March <nil>
}

// Let one machine at a time do something, and stop when that is another one.
func ExampleMutex_Lock() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	mutex, err := cluster.NewMutex(bucket, &cluster.MutexOptions{Name: "migration"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fence, err := mutex.Lock(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	migrate := func(ctx context.Context, fence uint64) { fmt.Println(fence > 0, ctx.Err()) }
	migrate(mutex.Context(), fence)
	fmt.Println(mutex.Unlock(ctx))
	// Output:
	// true <nil>
	// <nil>
}

// Let a few machines at a time do something, and tell other systems by whom they may be asked.
func ExampleSemaphore_Acquire() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	exports, err := cluster.NewSemaphore(bucket, &cluster.SemaphoreOptions{Name: "exports", Permits: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := exports.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	export := func(ctx context.Context, number int, fence uint64) { // the store refuses smaller fences of that number
		fmt.Println(number < 3, fence > 0, ctx.Err())
	}
	export(permit.Context(), permit.Number(), permit.Fence())
	fmt.Println(permit.Release(ctx))
	// Output:
	// true true <nil>
	// <nil>
}

// Do something only if not too many machines are at it.
func ExampleSemaphore_TryAcquire() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	scans, err := cluster.NewSemaphore(bucket, &cluster.SemaphoreOptions{Name: "scans", Permits: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		_, acquired, err := scans.TryAcquire(ctx)
		fmt.Println(acquired, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

// Wake one worker of the cluster for each job.
func ExampleNotify_Wait() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	work, err := cluster.NewNotify(bucket, &cluster.NotifyOptions{Name: "work"})
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := make(chan string, 1) // or a table of a database
	go func() {                  // on any machine
		jobs <- "wash the dishes"
		work.NotifyOne(ctx)
	}()
	for {
		select {
		case job := <-jobs:
			fmt.Println(job)
			return
		default:
		}
		if err := work.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output: wash the dishes
}

// Wait on all machines until a condition holds.
func ExampleNotify_Listen() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	changed, err := cluster.NewNotify(bucket, &cluster.NotifyOptions{Name: "votes"})
	if err != nil {
		fmt.Println(err)
		return
	}
	votes, err := cluster.NewMap[bool](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, voter := range []string{"a", "b", "c"} { // on any machines
		go func() {
			votes.Store(ctx, voter, true)
			changed.NotifyWaiters(ctx)
		}()
	}
	for {
		l := changed.Listen() // before the look
		if votes.Len() == 3 {
			break
		}
		if err := l.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(votes.Len(), "votes")
	// Output: 3 votes
}

// Hand over what this machine holds when it is shut down.
func ExampleBucket_Close() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	leader, err := cluster.NewMutex(bucket, &cluster.MutexOptions{Name: "leader"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := leader.Lock(ctx); err != nil {
		fmt.Println(err)
		return
	}
	leading := leader.Context()
	fmt.Println(bucket.Close()) // another machine is the leader now, not after the TTL
	fmt.Println(context.Cause(leading) == cluster.ErrClosed)
	// Output:
	// <nil>
	// true
}

// Wait for a key of the cluster and for something in this process.
func ExampleMap_OnStore() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	answers, err := cluster.NewMap[string](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	queue := await.NewQueue[string](1)
	var answer cluster.Entry[string]
	var item string
	go answers.Store(ctx, "answer", "yes")
	chosen, err := await.Select(ctx, answers.OnStore("answer", &answer), queue.OnTake(&item))
	fmt.Println(chosen, answer.Value, err)
	// Output: 0 yes <nil>
}

// Take a job of the cluster, or something of this process, whichever comes first.
func ExampleMap_OnTake() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	jobs, err := cluster.NewMap[string](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	queue := await.NewQueue[string](1)
	var job, item string
	go jobs.Store(ctx, "next", "wash the dishes") // on any machine
	chosen, err := await.Select(ctx, queue.OnTake(&item), jobs.OnTake("next", &job))
	_, left := jobs.Load("next")
	fmt.Println(chosen, job, err, left)
	// Output: 1 wash the dishes <nil> false
}

// Get in line before the request is sent whose answer is awaited.
func ExampleMap_Register() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	answers, err := cluster.NewMap[string](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	f := answers.Register("request 7", nil)
	defer f.Stop()
	go answers.Store(ctx, "request 7", "done") // the other machine's answer
	fmt.Println(f.Wait(ctx))
	// Output: done <nil>
}

// See what another machine has written, after it has told so by other means.
func ExampleBucket_Sync() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	users, err := cluster.NewMap[string](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	users.Store(ctx, "7", "Ada") // on another machine, which then sends a message
	if err := bucket.Sync(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(users.Load("7"))
	// Output: Ada true
}

// Tell whether a write that failed may have been applied all the same.
func ExampleMap_Store() {
	bucket, closeAll := openExample()
	defer closeAll()
	users, err := cluster.NewMap[string](bucket, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = users.Store(ctx, "7", "Ada")
	switch {
	case errors.Is(err, cluster.ErrUnknown):
		fmt.Println("perhaps stored")
	case err != nil:
		fmt.Println("not stored:", err)
	}
	// Output: not stored: context canceled
}
