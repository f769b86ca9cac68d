package programs_test

import (
	"context"
	"net"
	"testing"
)

func worlds(t *testing.T) []world {
	return []world{{
		name: "net",
		listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			return new(net.ListenConfig).Listen(ctx, network, address)
		},
		dial: new(net.Dialer).DialContext,
	}}
}
