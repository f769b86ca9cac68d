package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
)

// maxUnread is how much a client sends before it reads. The server must be able to send it
// back meanwhile, or both wait for each other: so much fits into the kernel's buffers.
const maxUnread = 1 << 20

// A crowd is clients that are connected to a server.
type crowd struct {
	cfg   *config
	conns []net.Conn
}

func newCrowd(cfg *config, address string) (*crowd, error) {
	c := &crowd{cfg: cfg}
	for range cfg.connections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *crowd) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// load lets all clients send and receive for about a slice of time. The latency of a message
// is the time from before the write that sent it until its echo was read.
func (c *crowd) load(ctx context.Context, slice time.Duration, latency *histogram.Histogram) error {
	until := time.Now().Add(slice)
	defer context.AfterFunc(ctx, c.close)()
	histograms, errs := make([]histogram.Histogram, len(c.conns)), make([]error, len(c.conns))
	var clients sync.WaitGroup
	for i, conn := range c.conns {
		clients.Go(func() { errs[i] = exchange(conn, c.cfg, until, &histograms[i]) })
	}
	clients.Wait()
	for i := range histograms {
		latency.Add(&histograms[i])
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// errChanged is the error of an echo that is not what was sent.
var errChanged = errors.New("the echo is not what was sent")

func exchange(conn net.Conn, cfg *config, until time.Time, latency *histogram.Histogram) error {
	sent := make([]byte, cfg.size*cfg.pipeline)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	got := make([]byte, len(sent))
	for start := time.Now(); start.Before(until); start = time.Now() {
		if _, err := conn.Write(sent); err != nil {
			return err
		}
		for done, counted := 0, 0; done < len(got); {
			n, err := conn.Read(got[done:])
			if done += n; err != nil && done < len(got) {
				return unexpected(err)
			}
			for took := time.Since(start); counted < done/cfg.size; counted++ {
				latency.Record(took)
			}
		}
		if !bytes.Equal(sent, got) {
			return errChanged
		}
	}
	return nil
}

// unexpected is the error of a connection that ends although it should not.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
