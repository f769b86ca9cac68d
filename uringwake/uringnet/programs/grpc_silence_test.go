package programs_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A relay passes on what connections to it carry, both ways, until it is muted. Then it
// still reads, and the connections stay open.
type relay struct {
	dial  dialFunc
	mutes atomic.Int64 // each is of the connections that there were
	all   sync.WaitGroup
}

// serve accepts connections until l is closed, and makes one for each.
func (r *relay) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		mutes := r.mutes.Load()
		server, err := r.dial(context.Background(), "", "")
		if err != nil {
			client.Close()
			continue
		}
		r.all.Go(func() { r.pass(client, server, mutes) })
		r.all.Go(func() { r.pass(server, client, mutes) })
	}
}

// pass returns when one of the connections is closed, and both are then.
func (r *relay) pass(to, from net.Conn, mutes int64) {
	defer to.Close()
	p := make([]byte, 4096)
	for {
		n, err := from.Read(p)
		if err == nil && r.mutes.Load() == mutes {
			_, err = to.Write(p[:n])
		}
		if err != nil {
			return
		}
	}
}

// through returns the site with another client, which has keepalive and is connected by
// the relay.
func (s *grpcSite) through(t *testing.T, w world) (*grpcSite, *relay) {
	t.Helper()
	l := w.newListener(t, "tcp")
	r := &relay{dial: s.dial}
	r.all.Go(func() { r.serve(l) })
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		r.all.Wait()
	})
	// Ten seconds are gRPC's least. To answer a ping may take a loaded machine a second.
	ping := keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second, PermitWithoutStream: true}
	other := *s
	other.client = newGRPCClient(t, w.dialer(l), grpc.WithKeepaliveParams(ping),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	return &other, r
}

// TestGRPCSilence has two clients that send pings. One's connection carries nothing any
// more: its stream fails, and its next call makes a new connection. The other one's pings
// are answered, and its stream goes on.
func TestGRPCSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 13 seconds")
	}
	inWorlds(t, func(t *testing.T, w world) {
		often := keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}
		s := w.serveGRPC(t, "tcp", false, grpc.KeepaliveEnforcementPolicy(often))
		alive, _ := s.through(t, w)
		goesOn, err := alive.open(t.Context(), "Both")
		require.NoError(t, err)
		<-s.began
		silent, relay := s.through(t, w)
		stream, err := silent.open(t.Context(), "Both")
		require.NoError(t, err)
		<-s.began

		relay.mutes.Add(1)
		err = stream.RecvMsg(new(message))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "keepalive")
		require.Error(t, <-s.ended)
		got, err := silent.unary(t.Context(), "and again")
		require.NoError(t, err)
		require.Equal(t, "and again", got)

		in := new(message)
		require.NoError(t, goesOn.SendMsg(wrapperspb.Bytes([]byte("alive"))))
		require.NoError(t, goesOn.RecvMsg(in))
		require.Equal(t, "alive", string(in.Value))
	})
}
