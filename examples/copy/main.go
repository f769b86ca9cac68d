// Command copy copies a file by tasks of an io_uring loop, and shows how far it is.
//
//	go run ./examples/copy FROM TO
//
// copies a file: several tasks of one loop, and so of one thread, read and write a piece
// each, and the kernel works on all pieces at the same time. A copy that fails leaves TO as
// it was.
//
//	go run ./examples/copy -compare FROM TO
//
// copies it by io.Copy too, and prints how long each took. Without FROM and TO, a temporary
// file is made, copied and removed.
//
// copying.go has the copy, compare.go the comparison.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/vigil-go/vigil/internal/cli"
)

func main() { program.Main() }

var program = cli.Program[*config]{Name: "copy", Help: help, Parse: parse, Work: work}

// work does what the flags ask for.
func work(ctx context.Context, cfg *config, stdout, _ io.Writer) error {
	if err := cfg.supported(); err != nil {
		if cfg.from == "" { // nobody misses this copy
			fmt.Fprintln(stdout, "io_uring cannot be used here:", err)
			return nil
		}
		return fmt.Errorf("io_uring cannot be used here: %w", err)
	}
	screen := cli.NewScreen(stdout, cfg.plain)
	if cfg.from == "" {
		return demo(ctx, cfg, stdout, screen)
	}
	if cfg.compare {
		return compare(ctx, cfg, cfg.from, cfg.to, stdout, screen)
	}
	took, err := showCopy(ctx, newJob(cfg, cfg.from, cfg.to), byTasks, screen)
	if err == nil {
		fmt.Fprintf(stdout, "copied in %v\n", took)
	}
	return err
}
