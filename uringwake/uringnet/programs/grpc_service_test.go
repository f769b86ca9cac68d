package programs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// message is what the calls below send and receive.
type message = wrapperspb.BytesValue

// echoService has a method of each kind. It is written by hand instead of generated.
var echoService = grpc.ServiceDesc{
	ServiceName: "programs.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unaryEcho}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Upload", Handler: upload, ClientStreams: true},
		{StreamName: "Download", Handler: download, ServerStreams: true},
		{StreamName: "Both", Handler: both, ClientStreams: true, ServerStreams: true},
	},
}

// service is the receiver of the methods: it counts the streams that have ended.
type service struct {
	began, ended chan error
}

func unaryEcho(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := new(message)
	if err := decode(in); err != nil {
		return nil, err
	}
	if string(in.Value) == "wait" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return in, nil
}

// upload answers with the number of bytes in all messages.
func upload(_ any, s grpc.ServerStream) error {
	n := int64(0)
	for {
		in := new(message)
		if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
			return s.SendMsg(wrapperspb.Int64(n))
		} else if err != nil {
			return err
		}
		n += int64(len(in.Value))
	}
}

// download sends the message again and again until the call ends.
func download(srv any, s grpc.ServerStream) error {
	in := new(message)
	err := s.RecvMsg(in)
	for err == nil {
		err = s.SendMsg(in)
	}
	srv.(*service).ended <- err
	return err
}

// both sends each message back.
func both(srv any, s grpc.ServerStream) error {
	srv.(*service).began <- nil
	for {
		in := new(message)
		err := s.RecvMsg(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.SendMsg(in)
		}
		if err != nil {
			srv.(*service).ended <- err
			return err
		}
	}
}

// A grpcSite is a server with echoService, and a client of it.
type grpcSite struct {
	*grpc.Server
	*service
	dial   dialFunc
	client *grpc.ClientConn
	wait   func() error // what Serve returned
}

func (w world) serveGRPC(t *testing.T, network string, secure bool, o ...grpc.ServerOption) *grpcSite {
	t.Helper()
	l := w.newListener(t, network)
	creds := insecure.NewCredentials()
	if secure {
		server, client := tlsConfigs(t)
		o = append(o, grpc.Creds(credentials.NewTLS(server)))
		creds = credentials.NewTLS(client)
	}
	s := &grpcSite{Server: grpc.NewServer(o...), service: &service{make(chan error, 100), make(chan error, 100)}, dial: w.dialer(l)}
	s.RegisterService(&echoService, s.service)
	result := make(chan error, 1)
	go func() { result <- s.Serve(l) }()
	s.wait = sync.OnceValue(func() error { return <-result })
	t.Cleanup(func() {
		s.Stop()
		require.NoError(t, s.wait())
	})
	s.client = newGRPCClient(t, s.dial, grpc.WithTransportCredentials(creds))
	return s
}

// newGRPCClient returns a client that is closed when the test has ended.
func newGRPCClient(t *testing.T, dial dialFunc, o ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	o = append(o, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx, "", "") }))
	client, err := grpc.NewClient("passthrough:///"+host, o...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func (s *grpcSite) unary(ctx context.Context, text string) (string, error) {
	out := new(message)
	err := s.client.Invoke(ctx, "/programs.Echo/Unary", wrapperspb.Bytes([]byte(text)), out)
	return string(out.Value), err
}

// open begins a call of a method with streams.
func (s *grpcSite) open(ctx context.Context, method string) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: method, ClientStreams: true, ServerStreams: true}
	return s.client.NewStream(ctx, desc, "/programs.Echo/"+method)
}

// download calls Download and, when it has a message, has its context end. It returns
// when the method has ended as well, with the error of the call: ctx may end earlier.
func (s *grpcSite) download(ctx context.Context, end func()) error {
	in := new(message)
	stream, err := s.open(ctx, "Download")
	if err == nil {
		stream.SendMsg(wrapperspb.Bytes(make([]byte, 100_000))) // RecvMsg says what went wrong
		stream.CloseSend()
		err = stream.RecvMsg(in)
	}
	if err != nil {
		end()
		return err
	}
	go end()
	for err == nil {
		err = stream.RecvMsg(in)
	}
	<-s.ended
	return err
}

// reachable reports whether the server takes connections.
func (s *grpcSite) reachable(t *testing.T) bool {
	conn, err := s.dial(t.Context(), "", "")
	if err != nil {
		return false
	}
	require.NoError(t, conn.Close())
	return true
}
