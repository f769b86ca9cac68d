package load

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served serves each connection by serve, until the test ends.
func served(t *testing.T, serve func(c net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestEverythingComesBack(t *testing.T) {
	address := served(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	for _, size := range []int{1, 64, 1 << 20} {
		c, err := Dial(address, 3, Echo(size))
		require.NoError(t, err)
		for range 2 {
			r, err := c.Run(time.Millisecond)
			require.NoError(t, err)
			require.GreaterOrEqual(t, r.Batches, 3)
			require.Len(t, r.Times, r.Batches)
			require.Positive(t, r.Wall)
		}
		require.NoError(t, c.Close())
	}
}

func TestAWrongByteIsNoticed(t *testing.T) {
	address := served(t, func(c net.Conn) {
		p := make([]byte, 64)
		for n, err := c.Read(p); err == nil; n, err = c.Read(p) {
			p[n-1]++
			_, _ = c.Write(p[:n])
		}
	})
	c, err := Dial(address, 2, Echo(64))
	require.NoError(t, err)
	_, err = c.Run(0)
	require.ErrorContains(t, err, "not what must come back")
	require.NoError(t, c.Close())
}

func TestAServerThatHangsUpIsNoticed(t *testing.T) {
	address := served(t, func(c net.Conn) { _, _ = io.CopyN(io.Discard, c, 64) })
	c, err := Dial(address, 1, Echo(64))
	require.NoError(t, err)
	_, err = c.Run(0)
	require.ErrorContains(t, err, "hung up")
	require.NoError(t, c.Close())
}

func TestConnectionsAndBatchesDiffer(t *testing.T) {
	script := Echo(64)
	seen := map[string]bool{}
	for conn := range 100 {
		for batch := range 100 {
			send, want := script(conn, batch)
			require.Equal(t, send, want)
			require.Len(t, send, 64)
			seen[string(send)] = true
		}
	}
	assert.Greater(t, len(seen), 9900)
}

func TestOneAnswerIsAskedForAgainAndAgain(t *testing.T) {
	address := served(t, func(c net.Conn) {
		p := make([]byte, 5)
		for _, err := io.ReadFull(c, p); err == nil; _, err = io.ReadFull(c, p) {
			_, _ = c.Write([]byte("wel"))
			_, _ = c.Write([]byte("come"))
		}
	})
	answer, err := Ask(address, []byte("hello"), "come")
	require.NoError(t, err)
	require.Equal(t, "welcome", string(answer))
	c, err := Dial(address, 2, Same([]byte("hello"), answer))
	require.NoError(t, err)
	_, err = c.Run(time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}
