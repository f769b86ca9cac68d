package programs_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A natsSite is a server that runs in this process, and takes connections by itself. So
// only the clients are in the world.
type natsSite struct {
	*server.Server
	w    world
	last atomic.Value // the net.Conn of the newest connection
}

// Dial makes a natsSite a nats.CustomDialer.
func (s *natsSite) Dial(network, address string) (net.Conn, error) {
	conn, err := s.w.dial(context.Background(), network, address)
	if err == nil {
		s.last.Store(&conn)
	}
	return conn, err
}

// cut closes the newest connection under its user.
func (s *natsSite) cut() error { return (*s.last.Load().(*net.Conn)).Close() }

func (w world) serveNATS(t *testing.T) *natsSite {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(time.Minute))
	return &natsSite{Server: s, w: w}
}

func (s *natsSite) connect(t *testing.T, o ...nats.Option) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(s.ClientURL(), append(o, nats.SetCustomDialer(s))...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestNATSPublish(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveNATS(t)
		from, to := s.connect(t), s.connect(t)
		sub, err := to.SubscribeSync("subject")
		require.NoError(t, err)
		require.NoError(t, to.Flush())
		payload := make([]byte, 10_000)
		const messages = 500
		for i := range messages {
			require.NoError(t, from.PublishMsg(&nats.Msg{Subject: "subject", Data: payload, Header: nats.Header{"N": {strconv.Itoa(i)}}}))
		}
		for i := range messages {
			m, err := sub.NextMsg(time.Minute)
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(i), m.Header.Get("N"))
			require.Len(t, m.Data, len(payload))
		}
		_, err = sub.NextMsg(short)
		require.ErrorIs(t, err, nats.ErrTimeout)
	})
}

func TestNATSRequest(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveNATS(t)
		from, to := s.connect(t), s.connect(t)
		_, err := to.Subscribe("echo", func(m *nats.Msg) { m.Respond(m.Data) })
		require.NoError(t, err)
		_, err = to.SubscribeSync("silence")
		require.NoError(t, err)
		require.NoError(t, to.Flush())
		var all sync.WaitGroup
		for client := range 8 {
			all.Go(func() {
				for i := range 20 {
					text := strconv.Itoa(client*1000 + i)
					m, err := from.Request("echo", []byte(text), time.Minute)
					if assert.NoError(t, err) {
						assert.Equal(t, text, string(m.Data))
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), short)
				defer cancel()
				_, err := from.RequestWithContext(ctx, "silence", nil)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		all.Wait()
	})
}

// TestNATSReconnect cuts the connection at either end. The client makes another, and its
// subscription is there again.
func TestNATSReconnect(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveNATS(t)
		again := make(chan struct{}, 1)
		c := s.connect(t, nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0), nats.MaxReconnects(-1),
			nats.ReconnectHandler(func(*nats.Conn) { again <- struct{}{} }))
		sub, err := c.SubscribeSync("subject")
		require.NoError(t, err)
		for i := range 4 {
			if i%2 == 0 {
				id, err := c.GetClientID()
				require.NoError(t, err)
				require.NoError(t, s.DisconnectClientByID(id))
			} else {
				require.NoError(t, s.cut())
			}
			<-again
			require.NoError(t, c.Publish("subject", []byte(strconv.Itoa(i))))
			m, err := sub.NextMsg(time.Minute)
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(i), string(m.Data))
		}
	})
}

// TestNATSDrain closes a connection only after what it has received was handled.
func TestNATSDrain(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveNATS(t)
		closed := make(chan struct{})
		from, to := s.connect(t), s.connect(t, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
		const messages = 500
		var handled atomic.Int32
		begin := make(chan struct{})
		_, err := to.Subscribe("subject", func(*nats.Msg) { <-begin; handled.Add(1) })
		require.NoError(t, err)
		require.NoError(t, to.Flush())
		for range messages {
			require.NoError(t, from.Publish("subject", nil))
		}
		require.NoError(t, from.Flush())
		require.NoError(t, to.Flush())
		require.NoError(t, to.Drain())
		close(begin)
		<-closed
		require.EqualValues(t, messages, handled.Load())
	})
}
