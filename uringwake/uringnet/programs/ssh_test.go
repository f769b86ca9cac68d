package programs_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// window is how much x/crypto/ssh sends on a channel whose other end reads nothing.
const window = 64 * 32 << 10

// sshConfigs returns the configurations of a server and its client.
func sshConfigs(t *testing.T) (*ssh.ServerConfig, *ssh.ClientConfig) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	server := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if string(password) != "secret" {
			return nil, errors.New("wrong password")
		}
		return nil, nil
	}}
	server.AddHostKey(signer)
	return server, &ssh.ClientConfig{
		User:            "user",
		Auth:            []ssh.AuthMethod{ssh.Password("secret")},
		HostKeyCallback: ssh.FixedHostKey(signer.PublicKey()),
	}
}

// A sshSite is a server that serves one connection, and its client. Each session of the
// client runs handle on the server.
type sshSite struct {
	client *ssh.Client
	conn   net.Conn // below the client
	served chan error
}

func (w world) serveSSH(t *testing.T, network string, handle func(command string, c ssh.Channel) uint32) *sshSite {
	t.Helper()
	forServer, forClient := sshConfigs(t)
	below, conn := w.pair(t, network)
	s := &sshSite{conn: below, served: make(chan error, 1)}
	go func() { s.served <- serveSSHConn(conn, forServer, handle) }()
	c, channels, requests, err := ssh.NewClientConn(below, host, forClient)
	require.NoError(t, err)
	s.client = ssh.NewClient(c, channels, requests)
	t.Cleanup(func() {
		s.client.Close()
		<-s.served
	})
	return s
}

// serveSSHConn returns when the connection and all its sessions have ended.
func serveSSHConn(conn net.Conn, config *ssh.ServerConfig, handle func(string, ssh.Channel) uint32) error {
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(requests)
	for proposed := range channels {
		channel, requests, err := proposed.Accept()
		if err != nil {
			return err
		}
		go serveSession(channel, requests, handle)
	}
	return server.Wait()
}

func serveSession(c ssh.Channel, requests <-chan *ssh.Request, handle func(string, ssh.Channel) uint32) {
	for r := range requests {
		if r.Type != "exec" {
			r.Reply(false, nil)
			continue
		}
		var command struct{ Text string }
		ok := ssh.Unmarshal(r.Payload, &command) == nil
		r.Reply(ok, nil)
		go func() {
			status := struct{ Code uint32 }{handle(command.Text, c)}
			c.SendRequest("exit-status", false, ssh.Marshal(&status))
			c.Close()
		}()
	}
}

// TestSSH runs sessions at the same time, which send and receive more than a window.
func TestSSH(t *testing.T) {
	const size = 3 << 20
	inWorlds(t, func(t *testing.T, w world) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				s := w.serveSSH(t, network, func(command string, c ssh.Channel) uint32 {
					io.WriteString(c.Stderr(), command)
					io.Copy(c, c)
					return 7
				})
				for seed := range byte(3) {
					t.Run("session", func(t *testing.T) {
						t.Parallel()
						runSession(t, s, seed, size)
					})
				}
			})
		}
	})
}

// runSession sends a stream through one session, and checks what comes back.
func runSession(t *testing.T, s *sshSite, seed byte, size int64) {
	want, _, err := hash(newStream(seed, size))
	require.NoError(t, err)
	session, err := s.client.NewSession()
	require.NoError(t, err)
	defer session.Close()
	session.Stdin = newStream(seed, size)
	out, err := session.StdoutPipe()
	require.NoError(t, err)
	stderr, err := session.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, session.Start("cat"))
	got, n, err := hash(out)
	require.NoError(t, err)
	require.Equal(t, size, n)
	require.Equal(t, want, got)
	said, err := io.ReadAll(stderr)
	require.NoError(t, err)
	require.Equal(t, "cat", string(said))
	exit, ok := errors.AsType[*ssh.ExitError](session.Wait())
	require.True(t, ok)
	require.Equal(t, 7, exit.ExitStatus())
}

// TestSSHWindow fills a channel's window, while another channel still works. Then the
// server reads all of it.
func TestSSHWindow(t *testing.T) {
	const size = 2*window + 1234
	inWorlds(t, func(t *testing.T, w world) {
		full := make(chan struct{})
		s := w.serveSSH(t, "tcp", func(command string, c ssh.Channel) uint32 {
			if command == "wait" {
				<-full
			}
			_, n, err := hash(c)
			assert.NoError(t, err)
			if n != size && command == "wait" {
				return 1
			}
			return 0
		})
		session, err := s.client.NewSession()
		require.NoError(t, err)
		in, err := session.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, session.Start("wait"))
		var written atomic.Int64
		go func() {
			defer in.Close()
			for part := make([]byte, 1); written.Load() < size; {
				n, err := in.Write(part)
				if written.Add(int64(n)); err != nil {
					return
				}
				part = make([]byte, min(32<<10, size-written.Load()))
			}
		}()
		eventually(t, "the window is full", func() bool { return written.Load() > window-32<<10 })
		second, err := s.client.NewSession()
		require.NoError(t, err)
		require.NoError(t, second.Run("pass"))
		require.LessOrEqual(t, written.Load(), int64(window))
		close(full)
		require.NoError(t, session.Wait())
	})
}

// TestSSHClose closes the connection below a session in the middle: both ends see it.
func TestSSHClose(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		ended := make(chan struct{})
		s := w.serveSSH(t, "tcp", func(_ string, c ssh.Channel) uint32 {
			io.Copy(c, endless{})
			close(ended)
			return 0
		})
		session, err := s.client.NewSession()
		require.NoError(t, err)
		out, err := session.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, session.Start("endless"))
		_, err = io.CopyN(io.Discard, out, 1<<20)
		require.NoError(t, err)
		require.NoError(t, s.conn.Close())
		if _, err = io.Copy(io.Discard, out); err != nil { // a read of what is there opens the window
			require.ErrorIs(t, err, net.ErrClosed)
		}
		require.Error(t, session.Wait())
		require.Error(t, s.client.Wait())
		<-ended
	})
}

// TestSSHDeadline sets a deadline below a session, in the middle of what it receives.
func TestSSHDeadline(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		s := w.serveSSH(t, "tcp", func(_ string, c ssh.Channel) uint32 {
			io.Copy(c, endless{})
			return 0
		})
		session, err := s.client.NewSession()
		require.NoError(t, err)
		out, err := session.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, session.Start("endless"))
		require.NoError(t, s.conn.SetReadDeadline(time.Now().Add(short)))
		io.Copy(io.Discard, out) // until the channel has ended
		require.ErrorIs(t, s.client.Wait(), os.ErrDeadlineExceeded)
		require.Error(t, session.Wait())
	})
}

// TestSSHHandshakeDeadline shakes hands with somebody who says nothing.
func TestSSHHandshakeDeadline(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		_, forClient := sshConfigs(t)
		client, _ := w.pair(t, "tcp")
		require.NoError(t, client.SetDeadline(time.Now().Add(short)))
		_, _, _, err := ssh.NewClientConn(client, host, forClient)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// TestSSHWrongPassword ends a handshake in the middle of it.
func TestSSHWrongPassword(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		forServer, forClient := sshConfigs(t)
		forClient.Auth = []ssh.AuthMethod{ssh.Password("guess")}
		client, server := w.pair(t, "tcp")
		served := make(chan error, 1)
		go func() { served <- serveSSHConn(server, forServer, nil) }()
		_, _, _, err := ssh.NewClientConn(client, host, forClient)
		require.ErrorContains(t, err, "unable to authenticate")
		client.Close()
		require.Error(t, <-served)
	})
}
