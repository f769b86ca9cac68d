package uringnet_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/wake"
)

// refusedOpcodes has the operations that a kernel may refuse. mustWork says that all is
// done some other way.
var refusedOpcodes = map[string]struct {
	opcodes  []uint8
	mustWork bool
	rules    []refuse.Rule // in addition
}{
	"recv":          {[]uint8{ring.OpRecv}, true, nil},
	"send":          {[]uint8{ring.OpSend}, true, nil},
	"recvmsg":       {[]uint8{ring.OpRecvmsg}, true, nil},
	"sendmsg":       {[]uint8{ring.OpSendmsg}, true, nil},
	"accept":        {[]uint8{ring.OpAccept}, true, nil},
	"connect":       {[]uint8{ring.OpConnect}, true, nil},
	"close":         {[]uint8{ring.OpClose}, true, nil},
	"cancel":        {[]uint8{ring.OpAsyncCancel}, true, nil},
	"timeout":       {[]uint8{ring.OpTimeout}, true, nil},
	"poll":          {[]uint8{ring.OpPollAdd}, false, nil},
	"all canceling": {[]uint8{ring.OpAsyncCancel}, false, []refuse.Rule{refuse.NoRegister(syncCancel, unix.EINVAL)}},
	"all but poll": {[]uint8{ring.OpNop, ring.OpRead, ring.OpWrite, ring.OpRecv, ring.OpSend, ring.OpRecvmsg, ring.OpSendmsg,
		ring.OpAccept, ring.OpConnect, ring.OpClose, ring.OpAsyncCancel, ring.OpTimeout, ring.OpMsgRing}, true, nil},
	"all": {[]uint8{ring.OpNop, ring.OpRead, ring.OpWrite, ring.OpRecv, ring.OpSend, ring.OpRecvmsg, ring.OpSendmsg,
		ring.OpAccept, ring.OpConnect, ring.OpClose, ring.OpAsyncCancel, ring.OpTimeout, ring.OpMsgRing, ring.OpPollAdd}, false, nil},
}

const syncCancel = 24 // IORING_REGISTER_SYNC_CANCEL

// TestRefusedOperations: where the kernel refuses an operation, each echo works, or fails
// with an error that says so. None hangs: the child would not end.
func TestRefusedOperations(t *testing.T) {
	for name, r := range refusedOpcodes {
		t.Run(name, func(t *testing.T) {
			if !refuse.Child(t, append(r.rules, refuse.NoOpcodes(r.opcodes...))...) {
				return
			}
			packetWorlds(t, func(t *testing.T, ctx context.Context) {
				ctx, cancel := context.WithCancel(ctx) // it may end: so what waits must be cancelable
				defer cancel()
				for kind, echo := range map[string]func(*testing.T, context.Context) error{
					"stream": echoStream, "unix stream": echoUnixStream, "datagrams": echoDatagrams, "unix datagrams": echoUnixDatagrams,
				} {
					if err := echo(t, ctx); r.mustWork {
						require.NoError(t, err, kind)
					} else if err != nil {
						require.ErrorIs(t, err, errors.ErrUnsupported, kind)
					}
				}
			})
		})
	}
}

// TestRefusedWaitOfWrite: a write that has to wait on a ring fails where no ring can wait. It
// does not try again and again.
func TestRefusedWaitOfWrite(t *testing.T) {
	if !refuse.Child(t, refuse.NoOpcodes(refusedOpcodes["all"].opcodes...)) {
		return
	}
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		if uringwake.TaskFrom(ctx) == nil { // else it would sleep in the netpoller
			ctx = wake.WithParker(ctx, wake.NewParker())
		}
		f, _ := filePair(t, unix.SOCK_STREAM)
		c, err := uringnet.FileConn(f)
		require.NoError(t, err)
		_, err = c.WriteContext(ctx, make([]byte, 16<<20))
		require.ErrorIs(t, err, errors.ErrUnsupported)
		_, err = c.WritevContext(ctx, [][]byte{{1}, make([]byte, 1<<20)})
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.NoError(t, c.Close())
	})
}

// TestGoroutinesSleepWhereRingsRefuse: the netpoller does not need the ring.
func TestGoroutinesSleepWhereRingsRefuse(t *testing.T) {
	if !refuse.Child(t, refuse.NoOpcodes(refusedOpcodes["all"].opcodes...)) {
		return
	}
	f, g := filePair(t, unix.SOCK_STREAM)
	a, err := uringnet.FileConn(f)
	require.NoError(t, err)
	b, err := uringnet.FileConn(g)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, g.Close())
	const size = 16 << 20 // more than the socket has room for
	done := world{t, nil}.start(func(context.Context) {
		_, err := a.Write(make([]byte, size))
		require.NoError(t, err)
		require.NoError(t, a.Close())
	})
	n, err := io.Copy(io.Discard, b)
	require.NoError(t, err)
	require.Equal(t, int64(size), n)
	<-done
	require.NoError(t, b.Close())
}

func echoStream(t *testing.T, ctx context.Context) error {
	return echoStreamAt(t, ctx, "tcp", "127.0.0.1:0")
}

func echoUnixStream(t *testing.T, ctx context.Context) error {
	return echoStreamAt(t, ctx, "unix", filepath.Join(t.TempDir(), "socket"))
}

// An outcome has the first error of several calls; then it closes their sockets.
type outcome struct {
	mu    sync.Mutex
	err   error
	close []func() error
}

// ends takes the error of a call, and reports whether there is one.
func (o *outcome) ends(err error) bool {
	if err == nil {
		return false
	}
	o.mu.Lock()
	if o.err == nil {
		o.err = err
	}
	all := o.close
	o.close = nil
	o.mu.Unlock()
	for _, f := range all {
		f()
	}
	return true
}

// closes has the outcome close a socket in the end.
func (o *outcome) closes(f func() error) {
	o.mu.Lock()
	late := o.err != nil
	if !late {
		o.close = append(o.close, f)
	}
	o.mu.Unlock()
	if late {
		f()
	}
}

const echoRounds = 3

// echoStreamAt has each read begin before the write.
func echoStreamAt(t *testing.T, ctx context.Context, network, address string) error {
	l, err := uringnet.Listen(ctx, network, address)
	if err != nil {
		return err
	}
	var o outcome
	o.closes(l.Close)
	served := beside(t, ctx, func(ctx context.Context) {
		c, err := l.AcceptContext(ctx)
		if o.ends(err) {
			return
		}
		o.closes(c.Close)
		p := make([]byte, 10)
		for range echoRounds {
			n, err := c.ReadContext(ctx, p)
			if o.ends(err) {
				return
			}
			if _, err := c.WriteContext(ctx, p[:n]); o.ends(err) {
				return
			}
		}
	})
	c, err := uringnet.Dial(ctx, network, l.Addr().String())
	if !o.ends(err) {
		o.closes(c.Close)
		for range echoRounds {
			if _, err := c.Writev([][]byte{[]byte("w"), []byte("ord")}); o.ends(err) {
				break
			}
			if _, err := c.ReadContext(ctx, make([]byte, 10)); o.ends(err) {
				break
			}
		}
	}
	served()
	return o.result()
}

var errOver = errors.New("over")

// result closes the sockets and returns the first error.
func (o *outcome) result() error {
	if o.ends(errOver); o.err == errOver {
		return nil
	}
	return o.err
}

func echoDatagrams(t *testing.T, ctx context.Context) error {
	return echoDatagramsAt(t, ctx, "udp4", "127.0.0.1:0", "127.0.0.1:0")
}

func echoUnixDatagrams(t *testing.T, ctx context.Context) error {
	dir := t.TempDir()
	return echoDatagramsAt(t, ctx, "unixgram", filepath.Join(dir, "a"), filepath.Join(dir, "b"))
}

func echoDatagramsAt(t *testing.T, ctx context.Context, network, at, other string) error {
	var o outcome
	a, err := uringnet.ListenPacket(ctx, network, at)
	if err != nil {
		return err
	}
	o.closes(a.Close)
	b, err := uringnet.ListenPacket(ctx, network, other)
	if o.ends(err) {
		return o.result()
	}
	o.closes(b.Close)
	served := beside(t, ctx, func(ctx context.Context) {
		p := make([]byte, 10)
		for range echoRounds {
			n, from, err := b.ReadFromContext(ctx, p)
			if o.ends(err) {
				return
			}
			if _, err := b.WriteToContext(ctx, p[:n], from); o.ends(err) {
				return
			}
		}
	})
	for range echoRounds {
		if _, err := a.WriteTo([]byte("word"), b.LocalAddr()); o.ends(err) {
			break
		}
		if _, _, err := a.ReadFromContext(ctx, make([]byte, 10)); o.ends(err) {
			break
		}
	}
	served()
	return o.result()
}
