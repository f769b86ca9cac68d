package uringnet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// TestResolver has package net look up a name by our sockets. It tells datagrams from
// streams by the methods of what Dial returns.
func TestResolver(t *testing.T) {
	skipWithoutRing(t)
	server := listenPacket(t, bg, "udp4")
	served := make(chan struct{})
	go func() {
		defer close(served)
		p := make([]byte, 512)
		for {
			n, from, err := server.ReadFromUDPAddrPort(p)
			if err != nil {
				return
			}
			server.WriteToUDPAddrPort(answer(p[:n]), from)
		}
	}()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(uringnet.Dialer).DialContext(ctx, network, server.LocalAddr().String())
	}}
	addrs, err := r.LookupHost(bg, "vigil.example.")
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.9"}, addrs)
	require.NoError(t, server.Close())
	<-served
}

// answer answers a DNS query: an A record of 127.0.0.9, and nothing of other kinds.
func answer(query []byte) []byte {
	const header = 12
	end := header + bytes.IndexByte(query[header:], 0) + 1 + 4 // of the name, the type and the class
	reply := append([]byte(nil), query[:end]...)
	clear(reply[2:header])
	reply[2], reply[3] = 0x81, 0x80 // a response, and recursion
	reply[5] = 1                    // question
	if binary.BigEndian.Uint16(query[end-4:]) != 1 {
		return reply
	}
	reply[7] = 1 // answer
	return append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 9)
}
