package uringfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake"
)

var (
	errNegativeOffset = errors.New("negative offset")
	errAppend         = errors.New("uringfs: invalid use of WriteAt on a file opened with O_APPEND")
)

// pathError makes a [*fs.PathError] of an error that is neither nil nor io.EOF. Like that
// of package os, it has the plain errno of what the kernel refused.
func pathError(op, name string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: plain(err)}
}

// linkError is pathError for two names.
func linkError(op, old, to string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: old, New: to, Err: plain(err)}
}

// begin returns why a call that names a file cannot begin, or nil.
func begin(ctx context.Context) error {
	waitq.MustContext(ctx, "uringfs")
	if err := ended(ctx); err != nil {
		return err
	}
	return uringwake.Supported()
}

// ended returns the error of a context that has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	return nil
}
