package uringwake_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// A connection that was accepted before a cancel reached the kernel is the caller's: each
// connection is accepted once, by whatever call.
func TestCanceledAcceptLosesNoConnection(t *testing.T) {
	newLoop(t, nil) // or skip
	for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
		listener, at := listenOn(t, loopback, mode)
		eachDriver(t, func(t *testing.T, ctx context.Context) {
			before := descriptors(t)
			accepted := 0
			for range scaled(300) {
				own, cancel := context.WithCancel(ctx)
				wait := aside(ctx, func() {
					dial(t, at)
					cancel()
				})
				n := acceptUntil(t, own, listener)
				wait()
				if accepted += n; n == 0 {
					assert.Equal(t, 1, acceptUntil(t, ctx, listener))
				}
			}
			t.Log(accepted, "were accepted by the call that was canceled")
			assert.Equal(t, before, descriptors(t))
		})
	}
}

// acceptUntil returns how many it accepted, 0 if ctx ended.
func acceptUntil(t testing.TB, ctx context.Context, listener int) int {
	fd, _, err := uringwake.Accept(ctx, listener, 0)
	if err != nil {
		assert.ErrorIs(t, err, context.Canceled)
		return 0
	}
	assert.NoError(t, unix.Close(fd))
	return 1
}

// A leaver is a parker that leaves its caller when something has happened.
type leaver struct {
	wake.Parker
	once  sync.Once
	leave func()
}

func (p *leaver) Park(ctx context.Context) error {
	p.once.Do(p.leave)
	return p.Parker.Park(ctx)
}

// A connection that was accepted for a goroutine whose parker then panics or ends it is
// closed.
func TestAcceptThatNobodyTakes(t *testing.T) {
	newLoop(t, nil) // or skip
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	listener, at := listenOn(t, loopback, 0)
	for name, leave := range map[string]func(){"panic": func() { panic("left") }, "Goexit": runtime.Goexit} {
		for _, connected := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				require.NoError(t, err)
				defer unix.Close(client)
				p := &leaver{Parker: wake.NewParker(), leave: func() {
					d.AwaitSubmission(1)
					if connected {
						assert.NoError(t, unix.Connect(client, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(at.AddrPort().Port())}))
						for d.InFlight() > 0 {
							runtime.Gosched()
						}
					}
					leave()
				}}
				left := make(chan struct{})
				go func() {
					defer close(left)
					defer func() { _ = recover() }()
					uringwake.Accept(wake.WithParker(context.Background(), p), listener, 0)
					assert.Fail(t, "it has returned")
				}()
				<-left
				require.Zero(t, d.InFlight())
				if connected {
					n, err := unix.Read(client, make([]byte, 1))
					require.NoError(t, err)
					require.Zero(t, n, "the other end is closed")
				}
			})
		}
	}
}

// A call that waits goes on with its socket when the descriptor is closed and its number
// is another one's.
func TestSocketsThatWaitKeepTheirFile(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			fds, other := socketPair(t, unix.SOCK_STREAM|mode), socketPair(t, unix.SOCK_STREAM)
			listener, at := listenOn(t, loopback, mode)
			unix.Write(other[1], []byte("else"))
			replace := func(fd int) { assert.NoError(t, unix.Dup3(other[0], fd, unix.O_CLOEXEC)) }
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				assert.NoError(t, c.whenever(func() error { return recvWord(ctx, fds[0]) }, func() {
					replace(fds[0])
					unix.Write(fds[1], []byte("word"))
				}))
				assert.NoError(t, c.whenever(func() error { return acceptOne(ctx, listener) }, func() {
					replaced, err := unix.FcntlInt(uintptr(listener), unix.F_DUPFD_CLOEXEC, 0)
					assert.NoError(t, err)
					replace(listener)
					dial(t, at)
					unix.Close(replaced)
				}))
			})
		}
	})
}
