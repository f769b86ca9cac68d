package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that stops reading must not hold its page, and the fetch of it.
func TestConnectionThatTakesNothingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		c := &promptConn{here, 30 * time.Second}
		wrote := make(chan error, 1)
		go func() {
			n, err := c.Write(make([]byte, 3*piece))
			wrote <- errors.Join(err, fmt.Errorf("%d bytes", n))
		}()
		for range 2 { // slow, but not too slow
			time.Sleep(29 * time.Second)
			_, err := io.ReadFull(there, make([]byte, piece))
			require.NoError(t, err)
		}
		require.ErrorContains(t, <-wrote, fmt.Sprintf("timeout\n%d bytes", 2*piece))
	})
}

func TestListenerIsImpatient(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := promptListener{inner, time.Minute}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	c, err := l.Accept()
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, time.Minute, c.(*promptConn).limit)
	require.NoError(t, l.Close())
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// An acceptor returns one result after the other.
type acceptor struct {
	net.Listener
	results []func() (net.Conn, error)
}

func (a *acceptor) Accept() (net.Conn, error) {
	next := a.results[0]
	a.results = a.results[1:]
	return next()
}

// Too many open files, for example. The server tries again after a while.
func TestAcceptThatFailsTakesNoPlace(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	tooMany := func() (net.Conn, error) { return nil, syscall.EMFILE }
	l := newLimitedListener(&acceptor{results: []func() (net.Conn, error){
		tooMany, tooMany, func() (net.Conn, error) { return here, nil },
	}}, 1)
	for range 2 {
		_, err := l.Accept()
		require.ErrorIs(t, err, syscall.EMFILE)
		require.True(t, l.places.TryAcquire(1))
		l.places.Release(1)
	}
	c, err := l.Accept()
	require.NoError(t, err)
	require.False(t, l.places.TryAcquire(1))
	require.NoError(t, c.Close())
}

// What goes out in parts gets as much time for each piece as what goes out in one.
func TestPartsOfAHitAreWrittenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		c := &promptConn{&limitedConn{Conn: here, leave: func() {}}, 30 * time.Second}
		parts := net.Buffers{[]byte("head"), make([]byte, 3*piece)}
		wrote := make(chan error, 1)
		go func() {
			n, err := c.WriteBuffers(&parts)
			wrote <- errors.Join(err, fmt.Errorf("%d bytes", n))
		}()
		for range 2 {
			time.Sleep(29 * time.Second)
			_, err := io.ReadFull(there, make([]byte, piece))
			require.NoError(t, err)
		}
		require.ErrorContains(t, <-wrote, fmt.Sprintf("timeout\n%d bytes", 2*piece))
	})
}

// The server closes its side first, so that a client which still sends reads the answer.
func TestConnectionIsClosedOneSideFirst(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := promptListener{newLimitedListener(inner, 1), time.Minute}
	defer l.Close()
	client, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	c, err := l.Accept()
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.(*promptConn).CloseWrite())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = client.Write([]byte("x"))
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.NoError(t, err)
}
