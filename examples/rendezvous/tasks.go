package main

import (
	"context"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// A taskListener is a listener of package uringnet, whose connections are streams as they
// are.
type taskListener struct{ *uringnet.Listener }

func (l taskListener) accept(ctx context.Context) (stream, error) {
	conn, err := l.AcceptContext(ctx)
	if err != nil {
		return nil, err // not conn, which would be a stream that is not nil
	}
	return conn, nil
}
