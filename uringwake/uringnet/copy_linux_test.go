package uringnet_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/uringfs"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// A feed makes a reader of data. It is called in the world that reads.
type feed struct {
	name string
	make func(t *testing.T, w world, data []byte) io.Reader
}

var feeds = []feed{
	{"bytes", func(t *testing.T, w world, data []byte) io.Reader { return bytes.NewReader(data) }},
	{"os.File", func(t *testing.T, w world, data []byte) io.Reader {
		f, err := os.Open(fileOf(t, data))
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}},
	{"uringfs.File", func(t *testing.T, w world, data []byte) io.Reader {
		f, err := uringfs.Open(bg, fileOf(t, data))
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}},
	{"os.Pipe", func(t *testing.T, w world, data []byte) io.Reader {
		r, to, err := os.Pipe()
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		feedInto(t, to, data)
		return r
	}},
	{"net.TCPConn", func(t *testing.T, w world, data []byte) io.Reader {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		to, err := l.Accept()
		require.NoError(t, err)
		feedInto(t, to, data)
		return c
	}},
	{"Conn tcp", func(t *testing.T, w world, data []byte) io.Reader { return connOf(t, "tcp", data) }},
	{"Conn unix", func(t *testing.T, w world, data []byte) io.Reader { return connOf(t, "unix", data) }},
	{"Conn unixpacket", func(t *testing.T, w world, data []byte) io.Reader { return connOf(t, "unixpacket", data) }},
}

func fileOf(t *testing.T, data []byte) string {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func connOf(t *testing.T, network string, data []byte) io.Reader {
	a, b := pair(t, network)
	feedInto(t, b, data)
	return a
}

// feedInto writes data in pieces and closes what it writes to.
func feedInto(t *testing.T, to io.WriteCloser, data []byte) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer to.Close()
		for p := data; len(p) > 0; {
			n := min(len(p), 20_000)
			if _, err := to.Write(p[:n]); err != nil {
				return // the reader has enough
			}
			p = p[n:]
		}
	}()
	t.Cleanup(func() { to.Close(); <-done })
}

func randomBytes(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{})
	random.Read(data)
	return data
}

// TestReadFrom copies from each kind of reader to each network, whole and limited.
func TestReadFrom(t *testing.T) {
	data := randomBytes(300_000)
	inWorlds(t, func(t *testing.T, w world) {
		for _, network := range []string{"tcp", "unix", "unixpacket"} {
			for _, f := range feeds {
				t.Run(network+"/"+f.name, func(t *testing.T) {
					data := data
					if network == "unixpacket" {
						data = data[:20_000] // what one message can have
					}
					readFromAll(t, w, network, f, data)
					if f.name != "Conn unixpacket" { // what a read has no room for is lost
						readFromLimited(t, w, network, f, data)
					}
				})
			}
		}
	})
}

func readFromAll(t *testing.T, w world, network string, f feed, data []byte) {
	a, b := pair(t, network)
	got := collect(b)
	r := f.make(t, w, data)
	w.do(func(context.Context) {
		defer a.Close()
		n, err := io.Copy(a, r)
		require.NoError(t, err)
		require.EqualValues(t, len(data), n)
		require.NoError(t, a.Close())
	})
	require.True(t, bytes.Equal(data, <-got))
}

func readFromLimited(t *testing.T, w world, network string, f feed, data []byte) {
	a, b := pair(t, network)
	got := collect(b)
	r := f.make(t, w, data)
	w.do(func(context.Context) {
		defer a.Close()
		limit := &io.LimitedReader{R: r, N: 1000}
		n, err := a.ReadFrom(limit)
		require.NoError(t, err)
		require.EqualValues(t, 1000, n)
		require.Zero(t, limit.N)
		n, err = a.ReadFrom(limit)
		require.NoError(t, err)
		require.Zero(t, n)
		limit.N = int64(len(data))
		n, err = a.ReadFrom(limit)
		require.NoError(t, err)
		require.EqualValues(t, len(data)-1000, n)
		require.EqualValues(t, 1000, limit.N)
		require.NoError(t, a.Close())
	})
	require.True(t, bytes.Equal(data, <-got))
}

// collect reads all of c.
func collect(c io.Reader) <-chan []byte {
	got := make(chan []byte, 1)
	go func() {
		var data []byte
		for p := make([]byte, 64<<10); ; {
			n, err := c.Read(p)
			data = append(data, p[:n]...)
			if err != nil {
				got <- data
				return
			}
		}
	}()
	return got
}

// TestReadFromLargeFile takes several steps.
func TestReadFromLargeFile(t *testing.T) {
	const size = 40<<20 + 5
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(size))
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		got := make(chan int64, 1)
		go func() { got <- discard(b) }()
		_, err := f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		w.do(func(context.Context) {
			defer a.Close()
			limit := &io.LimitedReader{R: f, N: size + 7}
			n, err := a.ReadFrom(limit)
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			require.EqualValues(t, 7, limit.N)
			require.NoError(t, a.Close())
		})
		require.EqualValues(t, size, <-got)
	})
}

// discard has the kernel throw away what c receives, and returns how much that was.
func discard(c *uringnet.Conn) (total int64) {
	raw, _ := c.SyscallConn()
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			m, _, e := syscall.Syscall6(unix.SYS_RECVFROM, fd, 0, 1<<30, unix.MSG_TRUNC, 0, 0)
			n = int(m)
			return e != unix.EAGAIN
		})
		if err != nil || n <= 0 {
			return total
		}
		total += int64(n)
	}
}

// asks is a Conn that looks at what it is to read.
type asks struct {
	*uringnet.Conn
	kernel []bool
}

func (c *asks) ReadFrom(r io.Reader) (int64, error) {
	c.kernel = append(c.kernel, uringnet.KernelCopies(r))
	return c.Conn.ReadFrom(r)
}

// TestCopyOfAFile: the kernel copies it, although io.Copy calls the file's WriteTo.
func TestCopyOfAFile(t *testing.T) {
	data := randomBytes(300_000)
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		to := &asks{Conn: a}
		got := collect(b)
		w.do(func(ctx context.Context) {
			defer a.Close()
			f, err := uringfs.Open(ctx, fileOf(t, data))
			require.NoError(t, err)
			defer f.CloseContext(ctx)
			n, err := io.Copy(to, f)
			require.NoError(t, err)
			require.EqualValues(t, len(data), n)
		})
		require.True(t, bytes.Equal(data, <-got))
		require.Equal(t, []bool{true}, to.kernel)
	})
}

// TestReadFromDeadline returns what was written until the deadline of c, which is set
// when something has arrived.
func TestReadFromDeadline(t *testing.T) {
	data := make([]byte, 2<<20)
	inWorlds(t, func(t *testing.T, w world) {
		for _, f := range feeds {
			t.Run(f.name, func(t *testing.T) {
				a, b := pair(t, "tcp")
				require.NoError(t, a.SetWriteBuffer(32<<10))
				require.NoError(t, b.SetReadBuffer(32<<10))
				r := f.make(t, w, data)
				if c, ok := r.(io.Closer); ok { // before the writer is awaited
					defer c.Close()
				}
				first := make([]byte, 1)
				go func() {
					b.Read(first)
					a.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
				}()
				w.do(func(context.Context) {
					limit := &io.LimitedReader{R: r, N: int64(len(data))}
					n, err := a.ReadFrom(limit)
					requireTimeout(t, err)
					require.Equal(t, "readfrom", err.(*net.OpError).Op)
					require.Positive(t, n)
					if f.name != "bytes" && f.name != "Conn unixpacket" { // read before they were written
						require.EqualValues(t, len(data), n+limit.N)
					}
					require.NoError(t, a.Close())
					require.Len(t, <-collect(b), int(n)-len(first))
				})
			})
		}
	})
}

// TestReadFromSource has the source end in other ways.
func TestReadFromSource(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		from, to := pair(t, "tcp")
		hello := make([]byte, 5)
		w.do(func(context.Context) {
			_, err := to.Write([]byte("hello"))
			require.NoError(t, err)
			go func() {
				io.ReadFull(b, hello)
				from.SetReadDeadline(time.Now())
			}()
			n, err := a.ReadFrom(from)
			require.EqualValues(t, len(hello), n)
			requireTimeout(t, err)
			require.NoError(t, from.SetReadDeadline(time.Time{}))
		})
		for _, end := range []func(cancel func()){
			func(cancel func()) { cancel() },
			func(func()) { from.Close() },
		} {
			stop := make(chan func(), 1)
			done := w.start(func(ctx context.Context) {
				ctx, cancel := context.WithCancel(ctx)
				stop <- cancel
				n, err := from.WriteToContext(ctx, a)
				require.Zero(t, n)
				require.Error(t, err)
			})
			end(<-stop)
			<-done
		}
		require.NoError(t, a.Close())
		require.Equal(t, "hello", string(hello))
		require.Empty(t, <-collect(b))
	})
}

// TestReadFromContextWithoutSplice: the context ends also a wait for a source whose bytes
// the program copies.
func TestReadFromContextWithoutSplice(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "unixpacket")
		from, to := pair(t, "tcp")
		_, err := to.Write([]byte("hello"))
		require.NoError(t, err)
		w.do(func(ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() {
				b.Read(make([]byte, 5))
				cancel()
			}()
			n, err := a.ReadFromContext(ctx, from)
			require.EqualValues(t, 5, n)
			require.ErrorIs(t, err, context.Canceled)
			_, err = from.WriteToContext(ctx, a)
			require.ErrorIs(t, err, context.Canceled)
		})
	})
}

// TestReadFromStream splices from a connection that has received in advance.
func TestReadFromStream(t *testing.T) {
	data := randomBytes(300_000)
	w := world{t, newLoop(t)}
	a, b := pair(t, "tcp")
	from, to := pair(t, "tcp")
	got := collect(b)
	w.do(func(context.Context) {
		defer a.Close()
		p := make([]byte, 10)
		for armed := false; !armed; armed, _ = uringnet.Streaming(from) {
			_, err := to.Write([]byte("x"))
			require.NoError(t, err)
			_, err = from.Read(p)
			require.NoError(t, err)
		}
		go func() { to.Write(data); to.Close() }()
		_, err := from.Read(p[:1])
		require.NoError(t, err)
		n, err := a.ReadFrom(from)
		require.NoError(t, err)
		require.EqualValues(t, len(data)-1, n)
	})
	require.True(t, bytes.Equal(data[1:], <-got))
}

// upper changes what it reads: it must not be copied by the kernel.
type upper struct{ *os.File }

func (u upper) Read(p []byte) (int, error) {
	n, err := u.File.Read(p)
	copy(p, bytes.ToUpper(p[:n]))
	return n, err
}

func (u upper) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{u}) }

// TestReadFromOthers copies what the kernel could not copy, or not so.
func TestReadFromOthers(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		got := collect(b)
		f, err := os.Open(fileOf(t, []byte("text")))
		require.NoError(t, err)
		defer f.Close()
		proc, err := os.Open("/proc/self/status")
		require.NoError(t, err)
		defer proc.Close()
		w.do(func(context.Context) {
			defer a.Close()
			n, err := a.ReadFrom(upper{f})
			require.NoError(t, err)
			require.EqualValues(t, 4, n)
			n, err = a.ReadFrom(proc)
			require.NoError(t, err)
			require.Positive(t, n)
			require.NoError(t, f.Close())
			_, err = a.ReadFrom(f)
			require.ErrorIs(t, err, os.ErrClosed)
			require.NoError(t, a.Close())
			_, err = a.ReadFrom(proc)
			require.ErrorIs(t, err, net.ErrClosed)
		})
		require.True(t, bytes.HasPrefix(<-got, []byte("TEXTName:")))
	})
}

// TestWriteTo copies to other writers.
func TestWriteTo(t *testing.T) {
	data := randomBytes(300_000)
	inWorlds(t, func(t *testing.T, w world) {
		r := connOf(t, "tcp", data)
		var got bytes.Buffer
		w.do(func(context.Context) {
			n, err := io.Copy(&got, r)
			require.NoError(t, err)
			require.EqualValues(t, len(data), n)
		})
		require.True(t, bytes.Equal(data, got.Bytes()))
		path := filepath.Join(t.TempDir(), "f")
		r = connOf(t, "unix", data)
		w.do(func(context.Context) {
			f, err := os.Create(path)
			require.NoError(t, err)
			_, err = io.Copy(f, r)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		})
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, text))
	})
}
