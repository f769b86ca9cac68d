package main

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// submissionCalls has the functions of uringwake's api_submission.go and
// api_registered.go.
var submissionCalls = map[string]trial{
	"NopOp": func(ctx context.Context, _ *lab) error { return started(ctx, uringwake.NopOp()) },
	"ReadOp": func(ctx context.Context, l *lab) error {
		return started(ctx, uringwake.ReadOp(l.file(), l.bytes(1), 0))
	},
	"WriteOp": func(ctx context.Context, l *lab) error {
		return started(ctx, uringwake.WriteOp(l.file(), l.bytes(1), 0))
	},
	"RecvOp": func(ctx context.Context, l *lab) error {
		return started(ctx, uringwake.RecvOp(l.fed(), l.bytes(1), 0))
	},
	"SendOp": func(ctx context.Context, l *lab) error {
		fd, _ := l.pair(unix.SOCK_STREAM)
		return started(ctx, uringwake.SendOp(fd, l.bytes(1), 0))
	},
	"SendZCOp": func(ctx context.Context, l *lab) error {
		return started(ctx, uringwake.SendZCOp(l.udp(), l.bytes(1), 0))
	},
	"AcceptOp": func(ctx context.Context, l *lab) error {
		fd, dial := l.listen()
		dial()
		r, err := uringwake.Start(ctx, uringwake.AcceptOp(fd)).Wait(ctx)
		if err != nil {
			return err
		}
		return unix.Close(r.N)
	},
	"PollOp": func(ctx context.Context, l *lab) error {
		return started(ctx, uringwake.PollOp(l.fed(), unix.POLLIN))
	},
	"TimeoutOp": func(ctx context.Context, _ *lab) error {
		return started(ctx, uringwake.TimeoutOp(time.Microsecond))
	},
	"RegisterFile": func(ctx context.Context, l *lab) error { // and it is read
		f, err := uringwake.RegisterFile(ctx, l.file())
		if err != nil {
			return err
		}
		defer f.Close()
		return started(ctx, uringwake.ReadOp(-1, l.bytes(1), 0).On(f))
	},
	"RegisterBuffer": func(ctx context.Context, l *lab) error { // and it is read into
		p := l.bytes(1)
		b, err := uringwake.RegisterBuffer(ctx, p)
		if err != nil {
			return err
		}
		defer b.Close()
		return started(ctx, uringwake.ReadOp(l.file(), p, 0).In(b))
	},
}

func started(ctx context.Context, op uringwake.Op) error {
	_, err := uringwake.Start(ctx, op).Wait(ctx)
	return err
}
