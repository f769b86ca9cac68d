//go:build !linux

package uringnet

import (
	"context"
	"syscall"
)

func takeSocket(any, string) (*sock, int, error) { return nil, 0, supported() }
func setReusePort(int) error                     { return supported() }

func lending(control func(string, string, syscall.RawConn) error) func(string, string, syscall.RawConn) error {
	return control
}

func (*sock) receiveMessage(ctx context.Context, p, oob []byte) (received, error) {
	return received{}, supported()
}

func (*sock) sendMessage(ctx context.Context, p, oob []byte, family int, to packetAddr) (int, error) {
	return 0, supported()
}
