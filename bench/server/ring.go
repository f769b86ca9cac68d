package server

import (
	"context"
	"net"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// echoTasks has as many loops as there are processors, or one. One task accepts, and each
// connection is a task of the next loop.
func echoTasks(loops int) serve {
	return func(size int) (net.Addr, error) {
		ctx := context.Background()
		l, err := uringnet.Listen(ctx, "tcp", anyPort)
		if err != nil {
			return nil, err
		}
		r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: loops})
		if err != nil {
			return nil, err
		}
		return l.Addr(), r.Go(ctx, func(ctx context.Context) {
			for {
				c, err := l.AcceptContext(ctx)
				mustNot(err) // it is never closed
				mustNot(r.Go(context.Background(), func(ctx context.Context) {
					defer c.Close()
					echoInTask(ctx, c, make([]byte, size))
				}))
			}
		})
	}
}

// echoInTask is echo with the context of a task.
func echoInTask(ctx context.Context, c *uringnet.Conn, buffer []byte) {
	for {
		n, err := c.ReadContext(ctx, buffer)
		if err != nil {
			return
		}
		if _, err := c.WriteContext(ctx, buffer[:n]); err != nil {
			return
		}
	}
}

func echoGoroutines(size int) (net.Addr, error) {
	l, err := uringnet.Listen(context.Background(), "tcp", anyPort)
	if err != nil {
		return nil, err
	}
	go serveEach(l, func(c net.Conn) { echo(c, make([]byte, size)) })
	return l.Addr(), nil
}

func helloGoroutines(int) (net.Addr, error) {
	l, err := uringnet.Listen(context.Background(), "tcp", anyPort)
	if err != nil {
		return nil, err
	}
	go serveHello(l)
	return l.Addr(), nil
}

func mustNot(err error) {
	if err != nil {
		panic(err)
	}
}
