package rows

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

func copyRow() Row {
	return Row{
		Name:  "io/copy",
		Title: "Copies of a file",
		About: "A file of 64 MiB that is in memory is copied to a new one by io.Copy, between files of package os, or of uringfs in a " +
			"task. Both have the kernel copy (copy_file_range) if io.Copy sees both files. If it sees only a Reader or only a Writer " +
			"in place of one, the other file has the buffer, and if it sees both so, it reads and writes 32 KiB at a time. CPU is " +
			"that of the process, in the kernel as well.",
		Base: byFile,
		jobs: func(set *Settings) []Job {
			return contestJobs(set, []figure{{cpuFigure, "us of CPU/MiB"}, {rateFigure, "MiB/s"}}, []contest{
				copyContest(set, "whole", func(to io.Writer, from io.Reader) (int64, error) { return io.Copy(to, from) }),
				copyContest(set, "reader", func(to io.Writer, from io.Reader) (int64, error) {
					return io.Copy(to, struct{ io.Reader }{from})
				}),
				copyContest(set, "writer", func(to io.Writer, from io.Reader) (int64, error) {
					return io.Copy(struct{ io.Writer }{to}, from)
				}),
				copyContest(set, "32KiB", func(to io.Writer, from io.Reader) (int64, error) {
					return io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
				}),
			})
		},
	}
}

// copier copies from one file to the other.
type copier func(to io.Writer, from io.Reader) (int64, error)

func copyContest(set *Settings, name string, by copier) contest {
	return contest{
		name: name,
		measure: func() (scores, []string) {
			size := set.scaled(64<<20, 1<<20)
			from := bigFile(size)
			defer from.Close()
			l := newLoop(nil)
			defer closeLoop(l)
			again := func(once func(to *os.File)) func(d time.Duration) int {
				return func(d time.Duration) (n int) {
					for end := nanos() + int64(d); n == 0 || nanos() < end; n += size >> 20 {
						to := bigFile(0)
						once(to)
						mustNot(to.Close())
					}
					return n
				}
			}
			return compete(set, []racer{
				{byFile, again(func(to *os.File) { copyFile(by, to, from, size) })},
				{inTasks, again(func(to *os.File) { copyInTask(l, by, to, from, size) })},
			}), nil
		},
		aims: func(string, []measure.Series) []string { return nil },
	}
}

func copyFile(by copier, to, from *os.File, size int) {
	_, err := from.Seek(0, io.SeekStart)
	mustNot(err)
	n, err := by(to, from)
	mustBeAll(n, err, size)
}

// copyInTask opens the files again, as files of uringfs.
func copyInTask(l *uringwake.Loop, by copier, to, from *os.File, size int) {
	done := make(chan struct{})
	mustNot(l.Go(context.Background(), func(ctx context.Context) {
		defer close(done)
		src, err := uringfs.Open(ctx, pathOf(from))
		mustNot(err)
		dst, err := uringfs.OpenFile(ctx, pathOf(to), os.O_WRONLY, 0)
		mustNot(err)
		n, err := by(dst, src)
		mustBeAll(n, err, size)
		mustNot(src.Close())
		mustNot(dst.Close())
	}))
	<-done
}

func mustBeAll(n int64, err error, size int) {
	mustNot(err)
	if n != int64(size) {
		panic("rows: a short copy")
	}
}
