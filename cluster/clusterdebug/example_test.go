package clusterdebug_test

import (
	"context"
	"fmt"
	"os"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/clusterdebug"
	"github.com/vigil-go/vigil/vigildebug"
)

// Show a bucket on the page of package vigildebug. Its handler is to be served at an address that
// only operators can reach.
func ExampleBucket() {
	dir, err := os.MkdirTemp("", "clusterdebug")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	bucket, err := cluster.Open(context.Background(), &cluster.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bucket.Close()
	defer clusterdebug.Bucket("jobs", bucket)()
	handler := vigildebug.Handler() // for http.Handle("/debug/vigil/", handler)
	_ = handler
	for _, thing := range vigildebug.Default().Snapshot().Things {
		fmt.Println(thing.Kind, thing.Name, thing.Facts[1].Text)
	}
	// Output: bucket jobs answers
}
