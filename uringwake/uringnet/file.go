package uringnet

import (
	"net"
	"os"
)

// FileConn returns a connection for the socket of f, as net.FileConn does. The socket is of
// tcp, unix or unixpacket, such as an end of a socketpair(2); for others, as for datagrams,
// the error matches syscall.EPROTONOSUPPORT. The Conn has a duplicate of the descriptor, and
// the caller closes f. The socket, and so f, is in nonblocking mode afterwards.
func FileConn(f *os.File) (*Conn, error) {
	s, err := fileSock(f)
	if err != nil {
		return nil, fileError(f, err)
	}
	return own(&Conn{s}, s), nil
}

// FileListener returns a listener for the socket of f, as net.FileListener does. The socket
// listens already: it was inherited from another process, for example. The Listener has a
// duplicate of the descriptor, and the caller closes f. The socket, and so f, is in
// nonblocking mode afterwards. Close does not remove the file of a unix address.
func FileListener(f *os.File) (*Listener, error) {
	s, err := fileSock(f)
	if err != nil {
		return nil, fileError(f, err)
	}
	return own(&Listener{s: s}, s), nil
}

func fileError(f *os.File, err error) error {
	return &net.OpError{Op: "file", Net: "file+net", Source: fileAddr(f.Name()), Err: err}
}

func fileSock(f *os.File) (*sock, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	return adopt(f)
}

// fileAddr is the address of a file in an error.
type fileAddr string

func (fileAddr) Network() string  { return "file+net" }
func (a fileAddr) String() string { return string(a) }
