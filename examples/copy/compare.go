package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// A way is a way to copy.
type way struct {
	name string
	copy func(ctx context.Context, j *job) error
	took []time.Duration
}

// compare copies in all ways, in turns, and prints how long each took.
func compare(ctx context.Context, cfg *config, from, to string, stdout io.Writer, screen *cli.Screen) error {
	ways := []*way{
		{name: fmt.Sprintf("%d tasks of one loop", cfg.tasks), copy: byTasks},
		{name: "io.Copy, within the kernel", copy: byKernel},
		{name: "io.Copy, through a buffer", copy: byBuffer},
	}
	var size int64
	for round := range cfg.rounds {
		for i := range ways {
			w := ways[(round+i)%len(ways)]
			j := newJob(cfg, from, to)
			took, err := showCopy(ctx, j, w.copy, screen)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			w.took, size = append(w.took, took), j.size.Load()
		}
	}
	fmt.Fprintf(stdout, "\n%s", table(ways, size))
	return nil
}

// table shows the median of each way.
func table(ways []*way, size int64) string {
	s := fmt.Sprintf("%-28s %12s %10s\n", "copied by", "time", "MiB/s")
	for _, w := range ways {
		slices.Sort(w.took)
		median := w.took[len(w.took)/2]
		s += fmt.Sprintf("%-28s %12v %10.0f\n", w.name, median.Round(time.Millisecond/10), float64(size)/(1<<20)/max(median, 1).Seconds())
	}
	return s + fmt.Sprintf(`
Medians of %d. What is in memory and is copied to memory costs a copy, whoever
makes it. Within the kernel, that is one copy, or none if the file system can
share the blocks. Tasks can only be faster where reads or writes have to wait.
`, len(ways[0].took))
}

// byKernel is io.Copy between files, for which Go asks the kernel to copy.
func byKernel(ctx context.Context, j *job) error {
	return j.byIO(ctx, func(to *os.File, from io.Reader) (int64, error) { return io.Copy(to, from) })
}

// byBuffer is io.Copy to a writer that is no file, by pieces as large as those of the tasks.
func byBuffer(ctx context.Context, j *job) error {
	buf := make([]byte, j.piece)
	return j.byIO(ctx, func(to *os.File, from io.Reader) (int64, error) {
		return io.CopyBuffer(struct{ io.Writer }{to}, from, buf)
	})
}

// byIO is job.copy for files of package os.
func (j *job) byIO(ctx context.Context, copy func(to *os.File, from io.Reader) (int64, error)) error {
	from, err := os.Open(j.from)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	j.size.Store(info.Size())
	to, err := os.OpenFile(j.part(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	err = errors.Join(j.copyParts(ctx, to, from, copy), to.Close())
	if err == nil {
		err = os.Rename(j.part(), j.to)
	}
	if err != nil {
		_ = os.Remove(j.part())
	}
	return err
}

// copyParts calls copy for one part of the file after the other, so that it can be stopped.
func (j *job) copyParts(ctx context.Context, to *os.File, from io.Reader, copy func(to *os.File, from io.Reader) (int64, error)) error {
	for ctx.Err() == nil {
		n, err := copy(to, io.LimitReader(from, 64<<20))
		if j.done.Add(n); err != nil {
			return err
		}
		if n == 0 && j.sync {
			return to.Sync()
		}
		if n == 0 {
			return nil
		}
	}
	return context.Cause(ctx)
}

// showCopy copies, shows how far it is, and returns how long it took.
func showCopy(ctx context.Context, j *job, copy func(context.Context, *job) error, screen *cli.Screen) (took time.Duration, err error) {
	start := time.Now()
	screen.During(func() {
		err = copy(ctx, j)
		took = time.Since(start)
	}, func() string { return j.line(time.Since(start)) })
	return took, err
}

// line says how far the copy is.
func (j *job) line(took time.Duration) string {
	done, size := j.done.Load(), j.size.Load()
	return fmt.Sprintf("%s %d of %d MiB, %.0f MiB/s", cli.Bar(float64(done)/float64(max(size, 1)), 24),
		done>>20, size>>20, float64(done)/(1<<20)/max(took, 1).Seconds())
}

// demo compares with a file that it makes and removes.
func demo(ctx context.Context, cfg *config, stdout io.Writer, screen *cli.Screen) (err error) {
	dir, err := os.MkdirTemp("", "vigil-copy-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	from := filepath.Join(dir, "from")
	fmt.Fprintf(stdout, "Making a file of %d MiB, and copying it in %d ways, %d times each.\n", cfg.size, 3, cfg.rounds)
	if err := makeFile(ctx, from, cfg.size); err != nil {
		return err
	}
	return compare(ctx, cfg, from, filepath.Join(dir, "to"), stdout, screen)
}

// makeFile makes a file of random bytes.
func makeFile(ctx context.Context, name string, mebibytes int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	random, buf := rand.NewChaCha8([32]byte{}), make([]byte, 1<<20)
	for range mebibytes {
		if err == nil {
			random.Read(buf)
			_, err = f.Write(buf)
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	return errors.Join(err, f.Close())
}
