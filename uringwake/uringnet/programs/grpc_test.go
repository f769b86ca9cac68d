package programs_test

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// inGRPC runs f with and without TLS, and on a unix socket.
func inGRPC(t *testing.T, f func(t *testing.T, s *grpcSite)) {
	inWorlds(t, func(t *testing.T, w world) {
		t.Run("tcp", func(t *testing.T) { f(t, w.serveGRPC(t, "tcp", false)) })
		t.Run("tcp TLS", func(t *testing.T) { f(t, w.serveGRPC(t, "tcp", true)) })
		t.Run("unix", func(t *testing.T) { f(t, w.serveGRPC(t, "unix", false)) })
	})
}

func TestGRPCUnary(t *testing.T) {
	inGRPC(t, func(t *testing.T, s *grpcSite) {
		var all sync.WaitGroup
		for client := range 8 {
			all.Go(func() {
				for i := range 20 {
					text := strings.Repeat(strconv.Itoa(client*1000+i), 1000*i)
					got, err := s.unary(t.Context(), text)
					assert.NoError(t, err)
					assert.True(t, text == got, "the echo differs")
				}
			})
		}
		all.Wait()
	})
}

func TestGRPCUpload(t *testing.T) {
	inGRPC(t, func(t *testing.T, s *grpcSite) {
		stream, err := s.open(t.Context(), "Upload")
		require.NoError(t, err)
		part := wrapperspb.Bytes(make([]byte, 100_000))
		for range 50 {
			require.NoError(t, stream.SendMsg(part))
		}
		require.NoError(t, stream.CloseSend())
		n := new(wrapperspb.Int64Value)
		require.NoError(t, stream.RecvMsg(n))
		require.EqualValues(t, 5_000_000, n.Value)
		require.ErrorIs(t, stream.RecvMsg(n), io.EOF)
	})
}

// TestGRPCBoth sends while it receives, more than the windows hold.
func TestGRPCBoth(t *testing.T) {
	inGRPC(t, func(t *testing.T, s *grpcSite) {
		const messages = 50
		stream, err := s.open(t.Context(), "Both")
		require.NoError(t, err)
		part := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 50_000+i) }
		sent := make(chan error, 1)
		go func() {
			for i := range messages {
				if err := stream.SendMsg(wrapperspb.Bytes(part(i))); err != nil {
					sent <- err
					return
				}
			}
			sent <- stream.CloseSend()
		}()
		for i := range messages {
			in := new(message)
			require.NoError(t, stream.RecvMsg(in))
			require.True(t, bytes.Equal(part(i), in.Value), "message %d differs", i)
		}
		require.NoError(t, <-sent)
		require.ErrorIs(t, stream.RecvMsg(new(message)), io.EOF)
	})
}

// TestGRPCBreakOff ends calls in the middle, by a cancel and by a deadline. The method
// sees it, and the connection serves the next call.
func TestGRPCBreakOff(t *testing.T) {
	want := map[string]codes.Code{"cancel": codes.Canceled, "deadline": codes.DeadlineExceeded}
	inGRPC(t, func(t *testing.T, s *grpcSite) {
		for name, ending := range endings {
			ctx, end := ending.begin(t.Context())
			go end()
			_, err := s.unary(ctx, "wait")
			require.Equal(t, want[name], status.Code(err), name)

			ctx, end = ending.begin(t.Context())
			err = s.download(ctx, end)
			require.Equal(t, want[name], status.Code(err), name)

			got, err := s.unary(t.Context(), "and again")
			require.NoError(t, err)
			require.Equal(t, "and again", got)
		}
	})
}

// TestGRPCGracefulStop lets a stream end that has begun, and takes no new one.
func TestGRPCGracefulStop(t *testing.T) {
	inGRPC(t, func(t *testing.T, s *grpcSite) {
		stream, err := s.open(t.Context(), "Both")
		require.NoError(t, err)
		<-s.began
		ended := make(chan struct{})
		go func() { s.GracefulStop(); close(ended) }()
		eventually(t, "the listener is closed", func() bool { return !s.reachable(t) })
		in := new(message)
		for range 3 {
			require.NoError(t, stream.SendMsg(wrapperspb.Bytes([]byte("still"))))
			require.NoError(t, stream.RecvMsg(in))
			require.Equal(t, "still", string(in.Value))
		}
		require.NoError(t, stream.CloseSend())
		require.ErrorIs(t, stream.RecvMsg(in), io.EOF)
		<-ended
		require.NoError(t, s.wait())
		_, err = s.unary(t.Context(), "too late")
		require.Equal(t, codes.Unavailable, status.Code(err))
	})
}

// TestGRPCStop ends the server and what it is doing.
func TestGRPCStop(t *testing.T) {
	inGRPC(t, func(t *testing.T, s *grpcSite) {
		stream, err := s.open(t.Context(), "Both")
		require.NoError(t, err)
		<-s.began
		s.Stop()
		require.Equal(t, codes.Unavailable, status.Code(stream.RecvMsg(new(message))))
		require.Error(t, <-s.ended)
	})
}

// TestGRPCMaxAge has a server that closes its connections all the time: the client makes
// new ones, and no call is lost.
func TestGRPCMaxAge(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveGRPC(t, "tcp", false, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: short}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*short)
		defer cancel()
		for ctx.Err() == nil {
			_, err := s.unary(t.Context(), "hello")
			require.NoError(t, err)
		}
	})
}

// TestGRPCKeepalive checks that the server's pings reach a client that is alive, and
// that a client that does not answer them is closed. A second is gRPC's least time
// between pings; to answer one may take a loaded machine longer.
func TestGRPCKeepalive(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveGRPC(t, "tcp", false, grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: 3 * time.Second}))
		stream, err := s.open(t.Context(), "Both")
		require.NoError(t, err)

		dumb, err := s.dial(t.Context(), "", "")
		require.NoError(t, err)
		defer dumb.Close()
		_, err = io.WriteString(dumb, http2.ClientPreface)
		require.NoError(t, err)
		require.NoError(t, http2.NewFramer(dumb, dumb).WriteSettings())
		untilEnd(t, dumb)

		require.NoError(t, stream.SendMsg(wrapperspb.Bytes([]byte("alive"))))
		in := new(message)
		require.NoError(t, stream.RecvMsg(in))
		require.Equal(t, "alive", string(in.Value))
	})
}
