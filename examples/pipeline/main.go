// Command pipeline adds up squares in three stages that run at the same time, as
// await.Tasks with a bounded await.Queue between each two. The first error ends all.
//
//	go run ./examples/pipeline
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/vigil-go/vigil/await"
)

func main() { run(os.Stdout) }

func run(w io.Writer) {
	for _, line := range []string{"1 2 3 4 5 6 7 8 9", "1 2 3 four 5 6 7 8 9"} {
		if sum, err := squares(context.Background(), strings.Fields(line)); err != nil {
			fmt.Fprintln(w, "error:", err)
		} else {
			fmt.Fprintln(w, "sum:", sum)
		}
	}
}

func squares(ctx context.Context, input []string) (sum int, err error) {
	stages, ctx := await.NewTasks(ctx)
	words, numbers := await.NewQueue[string](2), await.NewQueue[int](2)
	stages.Go(func(ctx context.Context) (err error) {
		defer words.Close() // the next stage drains it and then ends
		for i := 0; i < len(input) && err == nil; i++ {
			err = words.Put(ctx, input[i]) // waits while the next stage is behind
		}
		return err
	})
	stages.Go(func(ctx context.Context) error {
		defer numbers.Close()
		for word, err := range words.All(ctx) {
			n, bad := strconv.Atoi(word)
			if err = cmp.Or(err, bad); err == nil {
				err = numbers.Put(ctx, n*n)
			}
			if err != nil {
				return err // it ends ctx, and so the waits of the other stages
			}
		}
		return nil
	})
	for n, end := range numbers.All(ctx) { // the third stage
		sum, err = sum+n, end // only the last pair may have an error, and then n is 0
	}
	return sum, cmp.Or(stages.Wait(context.WithoutCancel(ctx)), err) // also if ctx has ended, no stage runs on
}
