package programs_test

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// worlds returns the ways in which the programs get their connections. Each has what
// it needs until the test has ended.
func worlds(t *testing.T) []world {
	t.Helper()
	goroutines := world{name: "goroutine", listen: listen, dial: dial, adopt: adopt}
	all := []world{goroutines, inTasks(t, goroutines, "loop", false), inTasks(t, goroutines, "task", true)}
	if *control {
		all = append(all, world{"net", new(net.ListenConfig).Listen, new(net.Dialer).DialContext, net.FileConn})
	}
	return all
}

func listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := uringnet.Listen(ctx, network, address)
	if err != nil {
		return nil, err // and no listener with a nil pointer in it
	}
	return l, nil
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := uringnet.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func adopt(f *os.File) (net.Conn, error) {
	conn, err := uringnet.FileConn(f)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// inTasks returns a world in which tasks make and accept the connections, so that they
// belong to loops. The programs use them from goroutines, or, if always is set, by tasks
// as well: one for each call, on any of the loops.
func inTasks(t *testing.T, w world, name string, always bool) world {
	t.Helper()
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close(context.Background())) })
	tasks := &tasks{r, always}
	return world{
		name: name,
		listen: func(ctx context.Context, network, address string) (l net.Listener, err error) {
			tasks.run(ctx, func(ctx context.Context) { l, err = w.listen(ctx, network, address) })
			return taskListener{l, tasks}, err
		},
		dial: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			tasks.run(ctx, func(ctx context.Context) { conn, err = w.dial(ctx, network, address) })
			return tasks.wrap(conn, err)
		},
		adopt: func(f *os.File) (net.Conn, error) { return tasks.wrap(w.adopt(f)) },
	}
}

// tasks run calls for goroutines.
type tasks struct {
	*uringwake.Runtime
	always bool
}

// run calls f in a task, and returns when f has returned. A program may do something
// after the test has ended, such as to close what it dialed for a request that was
// canceled. The loops are closed then, and f is called in the goroutine.
func (r *tasks) run(ctx context.Context, f func(ctx context.Context)) {
	done := make(chan struct{})
	err := r.Go(ctx, func(ctx context.Context) {
		defer close(done)
		f(ctx)
	})
	if err != nil {
		f(ctx)
		return
	}
	<-done
}

func (r *tasks) wrap(conn net.Conn, err error) (net.Conn, error) {
	if err != nil || !r.always {
		return conn, err
	}
	return taskConn{conn, r}, nil
}

// A taskListener accepts in a task.
type taskListener struct {
	net.Listener
	tasks *tasks
}

func (l taskListener) Accept() (conn net.Conn, err error) {
	l.tasks.run(context.Background(), func(context.Context) { conn, err = l.Listener.Accept() })
	return l.tasks.wrap(conn, err)
}

func (l taskListener) Close() (err error) {
	l.tasks.run(context.Background(), func(context.Context) { err = l.Listener.Close() })
	return err
}

// A taskConn reads, writes and closes in tasks. Of what it wraps it has only the methods
// of a net.Conn, and what liveness checks ask for.
type taskConn struct {
	net.Conn
	tasks *tasks
}

func (c taskConn) Read(p []byte) (n int, err error) {
	c.tasks.run(context.Background(), func(context.Context) { n, err = c.Conn.Read(p) })
	return n, err
}

func (c taskConn) Write(p []byte) (n int, err error) {
	c.tasks.run(context.Background(), func(context.Context) { n, err = c.Conn.Write(p) })
	return n, err
}

func (c taskConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

func (c taskConn) Close() (err error) {
	c.tasks.run(context.Background(), func(context.Context) { err = c.Conn.Close() })
	return err
}
