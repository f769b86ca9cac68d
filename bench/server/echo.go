package server

import "net"

const anyPort = "127.0.0.1:0"

func echoNet(size int) (net.Addr, error) {
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		return nil, err
	}
	go serveEach(l, func(c net.Conn) { echo(c, make([]byte, size)) })
	return l.Addr(), nil
}

// serveEach accepts, and serves each connection in a goroutine.
func serveEach(l net.Listener, serve func(c net.Conn)) {
	for {
		c, err := l.Accept()
		mustNot(err) // it is never closed
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// echo ends when the client hangs up.
func echo(c net.Conn, buffer []byte) {
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}
