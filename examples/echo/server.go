package main

import (
	"context"
	"errors"
	"net"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/waitgroup"
)

// pieceSize is how much a server reads at once.
const pieceSize = 16 << 10

// A stream is a connection of either kind.
type stream interface {
	ReadContext(ctx context.Context, p []byte) (int, error)
	WriteContext(ctx context.Context, p []byte) (int, error)
	Close() error
}

// echo sends back what it reads. It is the same for tasks and goroutines.
func echo(ctx context.Context, conn stream) {
	defer conn.Close()
	buf := make([]byte, pieceSize)
	for {
		n, err := conn.ReadContext(ctx, buf)
		if n > 0 {
			_, err = conn.WriteContext(ctx, buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// serveTasks gives each connection a task, in turns on the loops. It calls ready when
// clients can connect.
func serveTasks(ctx context.Context, cfg *config, ready func(net.Addr)) (err error) {
	loops, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: cfg.loops})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loops.Close(context.WithoutCancel(ctx))) }()
	l, err := uringnet.Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	ready(l.Addr())
	for {
		conn, err := l.AcceptContext(ctx)
		if err != nil {
			return endOf(ctx, err)
		}
		if err := loops.Go(ctx, func(ctx context.Context) { echo(ctx, conn) }); err != nil {
			conn.Close()
			return err
		}
	}
}

// serveGoroutines gives each connection a goroutine.
func serveGoroutines(ctx context.Context, cfg *config, ready func(net.Addr)) error {
	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	ready(l.Addr())
	var echoing waitgroup.Group
	for {
		conn, err := l.Accept()
		if err != nil {
			return errors.Join(endOf(ctx, err), echoing.Wait(context.WithoutCancel(ctx)))
		}
		echoing.Go(func() {
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			echo(ctx, netStream{conn})
		})
	}
}

// endOf is why a server has ended: nothing is wrong if ctx has.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// A netStream is a connection of package net, which is closed when the context ends.
type netStream struct{ net.Conn }

func (s netStream) ReadContext(_ context.Context, p []byte) (int, error)  { return s.Read(p) }
func (s netStream) WriteContext(_ context.Context, p []byte) (int, error) { return s.Write(p) }
