package load

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

// Same is a script of one request and one answer.
func Same(request, answer []byte) Script {
	return func(int, int) (send, want []byte) { return request, answer }
}

// Ask sends a request once, and returns the answer, which it takes to be complete when
// it ends with end.
func Ask(address string, request []byte, end string) ([]byte, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := errors.Join(c.SetDeadline(time.Now().Add(patience)), sent(c.Write(request))); err != nil {
		return nil, err
	}
	var answer []byte
	for p := make([]byte, 4096); !bytes.HasSuffix(answer, []byte(end)); {
		n, err := c.Read(p)
		if err != nil {
			return nil, err
		}
		answer = append(answer, p[:n]...)
	}
	return answer, nil
}

func sent(_ int, err error) error { return err }

// Echo is a script of batches of size bytes that come back. They are cut from the same
// random bytes at places that differ between connections and between batches, so that a
// byte that comes twice, too late or from another connection is noticed.
func Echo(size int) Script {
	const around = 65521 // a prime
	noise := make([]byte, around+size)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(noise[:around])
	for i := around; i < len(noise); i++ {
		noise[i] = noise[i-around]
	}
	return func(conn, batch int) (send, want []byte) {
		from := (conn*7919 + batch*size) % around
		part := noise[from : from+size]
		return part, part
	}
}
