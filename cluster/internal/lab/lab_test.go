package lab_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/internal/lab"
)

func TestMain(m *testing.M) {
	lab.Register("echo", echo)
	lab.Register("fail", func(context.Context, *lab.Self) error { return errors.New("as it should") })
	lab.Main()
	goleak.VerifyTestMain(m)
}

// echo stores what it is sent, and sends what all have stored.
func echo(ctx context.Context, s *lab.Self) error {
	b, err := cluster.Open(ctx, &cluster.Options{Addresses: s.Addresses})
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := cluster.NewMap[string](b, nil)
	if err != nil {
		return err
	}
	for {
		var text string
		if err := s.Receive(ctx, &text); err != nil {
			return nil
		}
		if _, err := m.Store(ctx, s.Arguments[0], text); err != nil {
			return err
		}
		if err := s.Send(m.Len()); err != nil {
			return err
		}
	}
}

func newLab(t *testing.T, o *lab.Options) *lab.Lab {
	t.Helper()
	if err := lab.Supported(o.Isolation); err != nil {
		t.Skip(err)
	}
	l, err := lab.New(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		require.NoDirExists(t, l.Dir())
	})
	return l
}

func say(t *testing.T, p *lab.Process, text string) (n int) {
	t.Helper()
	require.NoError(t, p.Send(text))
	require.NoError(t, p.Receive(t.Context(), &n), p.Log())
	return n
}

// TestLab: what can be done to a process, with each isolation.
func TestLab(t *testing.T) {
	for _, isolation := range []lab.Isolation{lab.Namespaces, lab.Proxies} {
		t.Run(isolation.String(), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, &lab.Options{Servers: 1, Isolation: isolation})
			a, err := l.Worker("a", "echo", "key a")
			require.NoError(t, err)
			b, err := l.Worker("b", "echo", "key b")
			require.NoError(t, err)
			require.Equal(t, 1, say(t, a, "x"))
			require.Equal(t, 2, say(t, b, "x"))

			for _, s := range [][2]func() error{{a.Pause, a.Resume}, {a.Cut, a.Heal}} {
				require.NoError(t, s[0]())
				require.NoError(t, a.Send("y"))
				require.Equal(t, 2, say(t, b, "y"))
				var n int
				short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				require.ErrorIs(t, a.Receive(short, &n), context.DeadlineExceeded)
				cancel()
				require.NoError(t, s[1]())
				require.NoError(t, a.Receive(t.Context(), &n))
			}

			require.NoError(t, l.Servers()[0].Restart(t.Context()))
			require.Equal(t, 2, say(t, a, "z"))
			require.NoError(t, a.Restart())
			require.Equal(t, 2, say(t, a, "z"))
			require.NoError(t, a.Stop())
			require.False(t, a.Running())
		})
	}
}

func TestWorkerFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, &lab.Options{Servers: 1, Isolation: lab.Proxies})
	p, err := l.Worker("a", "fail")
	require.NoError(t, err)
	require.ErrorContains(t, p.Wait(), "exit status 1")
	require.Contains(t, p.Log(), "as it should")
	_, err = l.Worker("b", "nobody")
	require.Error(t, err)
}

// TestSlow: a link is slow by the time that was asked for.
func TestSlow(t *testing.T) {
	t.Parallel()
	l := newLab(t, &lab.Options{Servers: 1, Isolation: lab.Proxies})
	p, err := l.Worker("a", "echo", "key")
	require.NoError(t, err)
	say(t, p, "x")
	require.NoError(t, p.Slow(50*time.Millisecond))
	begun := time.Now()
	say(t, p, "y")
	require.GreaterOrEqual(t, time.Since(begun), 100*time.Millisecond)
}

// TestSweep: New removes what a process that was killed has left behind.
func TestSweep(t *testing.T) {
	gone := exec.Command(os.Args[0], "-test.run=^$")
	require.NoError(t, gone.Run())
	name := "vigil-lab-" + fmt.Sprint(gone.Process.Pid) + "-1"
	dir := filepath.Join(os.TempDir(), name)
	require.NoError(t, os.Mkdir(dir, 0o700))
	namespaces := lab.Supported(lab.Namespaces) == nil
	if namespaces {
		require.NoError(t, exec.Command("ip", "netns", "add", name).Run())
	}
	newLab(t, &lab.Options{Servers: 1})
	require.NoDirExists(t, dir)
	if namespaces {
		out, err := exec.Command("ip", "netns", "list").Output()
		require.NoError(t, err)
		require.NotContains(t, string(out), name)
	}
}
