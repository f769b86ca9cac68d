package programs_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// large is the size of a large body: 1 GiB with VIGIL_TEST_LARGE=1 in the environment.
// Otherwise it is 64 MiB, or 16 MiB where the race detector is slow, because CI has
// little time: with HTTP/2, and where each read is a task. Bodies are streamed, and
// never in memory.
func large(w world, k kind) int64 {
	switch {
	case os.Getenv("VIGIL_TEST_LARGE") == "1":
		return 1 << 30
	case k == http1 && w.name != "task":
		return 64 << 20
	}
	return 16 << 20
}

// A stream is a body of n bytes that differ from seed to seed, and cannot be guessed
// from each other. Its end has the hash of what was read.
type stream struct {
	random rand.ChaCha8
	left   int64
}

func newStream(seed byte, n int64) *stream {
	return &stream{random: *rand.NewChaCha8([32]byte{seed}), left: n}
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.left)]
	s.left -= int64(len(p))
	return s.random.Read(p)
}

// hash returns the hash of all that r has, and its length.
func hash(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// TestHTTPLargeBody sends a large body each way.
func TestHTTPLargeBody(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, []kind{http1, https2}, func(t *testing.T, k kind) { sendLarge(t, w, k, large(w, k)) })
	})
}

func sendLarge(t *testing.T, w world, k kind, size int64) {
	want, _, err := hash(newStream(1, size))
	require.NoError(t, err)
	s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
		got, n, err := hash(r.Body)
		assert.NoError(t, err)
		assert.Equal(t, size, n)
		assert.Equal(t, want, got)
		io.Copy(rw, newStream(1, size))
	})
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url, newStream(1, size))
	require.NoError(t, err)
	req.ContentLength = size
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, n, err := hash(resp.Body)
	require.NoError(t, err)
	require.Equal(t, size, n)
	require.Equal(t, want, got)
}

// TestHTTPFile serves a file and sends one, which a connection of package net does by
// sendfile: a foreign one must not fall behind in content.
func TestHTTPFile(t *testing.T) {
	const size = 3<<20 + 17
	name := t.TempDir() + "/file"
	file, err := os.Create(name)
	require.NoError(t, err)
	_, err = io.Copy(file, newStream(2, size))
	require.NoError(t, err)
	require.NoError(t, file.Close())
	want, _, err := hash(newStream(2, size))
	require.NoError(t, err)

	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				got, _, err := hash(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, want, got)
				http.ServeFile(rw, r, name)
			})
			file, err := os.Open(name)
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.url, file) // closes it
			require.NoError(t, err)
			req.ContentLength = size
			resp, err := s.client.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, strconv.Itoa(size), resp.Header.Get("Content-Length"))
			got, _, err := hash(resp.Body)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	})
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// untilGone waits until the client has left, and breaks the response off: if the handler
// returned, the response might reach the client whole while it closes its connection.
func untilGone(r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// TestHTTPCancelDownload breaks a response off in the middle of its body. The handler
// sees the end of its request, and the site still answers.
func TestHTTPCancelDownload(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			for name, causes := range endings {
				left := make(chan struct{})
				s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/echo" {
						echo(rw, r)
						return
					}
					io.Copy(rw, endless{})
					defer close(left)
					untilGone(r)
				})
				ctx, end := causes.begin(t.Context())
				req, err := http.NewRequestWithContext(ctx, "GET", s.url, nil)
				require.NoError(t, err)
				resp, err := s.client.Do(req)
				if err == nil { // a deadline may come before the response
					_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
					go end()
					for err == nil {
						_, err = resp.Body.Read(make([]byte, 4096))
					}
					resp.Body.Close()
					<-left
				}
				end()
				require.ErrorIs(t, err, causes.err, name)
				again, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"echo", newStream(3, 1000))
				require.NoError(t, err)
				require.Len(t, body(t, s.client, again), 1000)
			}
		})
	})
}

// TestHTTPCancelUpload breaks a request off in the middle of its body.
func TestHTTPCancelUpload(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		inKinds(t, kinds, func(t *testing.T, k kind) {
			began, failed := make(chan struct{}), make(chan error, 1)
			s := w.serve(t, k, "tcp", func(rw http.ResponseWriter, r *http.Request) {
				io.CopyN(io.Discard, r.Body, 1<<20)
				close(began)
				_, err := io.Copy(io.Discard, r.Body)
				failed <- err
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "POST", s.url, endless{})
			require.NoError(t, err)
			go func() { <-began; cancel() }()
			_, err = s.client.Do(req)
			require.ErrorIs(t, err, context.Canceled)
			require.Error(t, <-failed)
		})
	})
}

// endings are the ways in which a context ends.
var endings = map[string]struct {
	begin func(ctx context.Context) (context.Context, func())
	err   error
}{
	"cancel": {
		begin: func(ctx context.Context) (context.Context, func()) { return context.WithCancel(ctx) },
		err:   context.Canceled,
	},
	"deadline": {
		begin: func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			return ctx, func() { <-ctx.Done(); cancel() }
		},
		err: context.DeadlineExceeded,
	},
}
