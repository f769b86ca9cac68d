package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// A job is a copy, and how far it is.
type job struct {
	from, to string
	tasks    int
	piece    int64 // bytes
	sync     bool

	size atomic.Int64 // 0 until it is known
	next atomic.Int64 // where the next piece begins
	done atomic.Int64 // bytes
}

func newJob(cfg *config, from, to string) *job {
	return &job{from: from, to: to, tasks: cfg.tasks, piece: int64(cfg.piece) << 10, sync: cfg.sync}
}

// byTasks copies by tasks of a loop.
func byTasks(ctx context.Context, j *job) (err error) {
	loop, err := uringwake.NewLoop(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close(context.WithoutCancel(ctx))) }()
	var ended await.Value[error]
	err = loop.Go(ctx, func(ctx context.Context) { ended.Store(j.copy(ctx)) })
	if err != nil {
		return err
	}
	// The task ends with ctx, and says so: that is what this waits for.
	failed, _, err := ended.WaitNewer(context.WithoutCancel(ctx), 0)
	return errors.Join(failed, err)
}

// copy copies, in a task or in a goroutine.
func (j *job) copy(ctx context.Context) (err error) {
	always := context.WithoutCancel(ctx) // for what must be done in any case
	from, info, err := openSource(ctx, j.from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.CloseContext(always)) }()
	j.size.Store(info.Size())
	part := j.part()
	to, err := uringfs.OpenFile(ctx, part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	if err = j.copyPieces(ctx, from, to); err == nil && j.sync {
		err = to.SyncContext(ctx)
	}
	if err = errors.Join(err, to.CloseContext(always)); err == nil {
		err = uringfs.Rename(ctx, part, j.to)
	}
	if err != nil {
		_ = uringfs.Remove(always, part)
	}
	return err
}

// part is the name of the copy until it is complete.
func (j *job) part() string { return fmt.Sprintf("%s.part%d", j.to, os.Getpid()) }

// openSource opens a regular file.
func openSource(ctx context.Context, name string) (*uringfs.File, os.FileInfo, error) {
	f, err := uringfs.Open(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.StatContext(ctx)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.CloseContext(ctx))
	}
	return f, info, nil
}

// copyPieces lets each task copy one piece after the other, whichever is next. The first
// task that fails cancels the others. Where this is a task, they are tasks of its loop.
func (j *job) copyPieces(ctx context.Context, from, to *uringfs.File) error {
	all, ctx := await.NewTasks(ctx)
	for range j.tasks {
		all.Go(func(ctx context.Context) error {
			buf := make([]byte, min(j.piece, j.size.Load()))
			for {
				at := j.next.Add(j.piece) - j.piece
				if at >= j.size.Load() {
					return nil
				}
				if err := j.copyPiece(ctx, from, to, buf[:min(j.piece, j.size.Load()-at)], at); err != nil {
					return err
				}
			}
		})
	}
	return all.Wait(context.WithoutCancel(ctx)) // the files are open until all have ended
}

func (j *job) copyPiece(ctx context.Context, from, to *uringfs.File, buf []byte, at int64) error {
	if _, err := from.ReadAtContext(ctx, buf, at); err == io.EOF {
		return fmt.Errorf("%s has become shorter while it was copied", j.from)
	} else if err != nil {
		return err
	}
	n, err := to.WriteAtContext(ctx, buf, at)
	j.done.Add(int64(n))
	return err
}
