package uringnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/wake"
)

// One task accepts connections, and each of them has a task that sends back what comes.
func Example_echoServerOfTasks() {
	ctx := context.Background()
	loop, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close(ctx)
	l, err := uringnet.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	loop.Go(ctx, func(ctx context.Context) {
		for {
			c, err := l.AcceptContext(ctx)
			if err != nil {
				return // closed
			}
			wake.Go(ctx, func(context.Context) {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})

	c, err := net.Dial("tcp", l.Addr().String()) // any client
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	p := make([]byte, 5)
	_, err = io.ReadFull(c, p)
	fmt.Println(string(p), err)
	// Output: hello <nil>
}

// A Listener is a net.Listener, so that net/http serves over it.
func ExampleListener_serveHTTP() {
	l, err := uringnet.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
	})}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()

	client := &http.Client{Transport: &http.Transport{DialContext: new(uringnet.Dialer).DialContext}}
	r, err := client.Get("http://" + l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(r.Body)
	r.Body.Close()
	fmt.Println(string(text), err)
	client.CloseIdleConnections()
	server.Close()
	fmt.Println(<-served)
	// Output:
	// hello <nil>
	// http: Server closed
}

// A dial is limited by Timeout, and by its context.
func ExampleDialer_timeout() {
	l, err := uringnet.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	d := uringnet.Dialer{Timeout: 10 * time.Second}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Close())
	d.Timeout = time.Nanosecond
	_, err = d.Dial("tcp", l.Addr().String())
	fmt.Println(err.(net.Error).Timeout())
	// Output:
	// <nil>
	// true
}

// Each loop has a listener of its own for the same address, and the kernel divides the
// connections among them.
func ExampleListenConfig_onePerLoop() {
	ctx := context.Background()
	config := uringnet.ListenConfig{ReusePort: true}
	address := "127.0.0.1:0"
	for range 2 {
		loop, err := uringwake.NewLoop(nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer loop.Close(ctx)
		l, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer l.Close()
		address = l.Addr().String()
		loop.Go(ctx, func(ctx context.Context) {
			for {
				c, err := l.Accept() // finds the task that calls it
				if err != nil {
					return
				}
				fmt.Fprint(c, "hello")
				c.Close()
			}
		})
	}
	for range 3 {
		c, err := uringnet.Dial(ctx, "tcp", address)
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := io.ReadAll(c)
		fmt.Println(string(text), err)
		c.Close()
	}
	// Output:
	// hello <nil>
	// hello <nil>
	// hello <nil>
}
