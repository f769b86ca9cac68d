//go:build !linux

package uringfs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestWithoutRings: every call says that there are none.
func TestWithoutRings(t *testing.T) {
	ctx := context.Background()
	f := uringfs.Stdin
	for what, call := range map[string]func() error{
		"Open":     func() error { _, err := uringfs.Open(ctx, "x"); return err },
		"ReadFile": func() error { _, err := uringfs.ReadFile(ctx, "x"); return err },
		"Stat":     func() error { _, err := uringfs.Stat(ctx, "x"); return err },
		"Mkdir":    func() error { return uringfs.Mkdir(ctx, "x", 0) },
		"DirFS":    func() error { _, err := uringfs.DirFS("/").Open("x"); return err },
		"Read":     func() error { _, err := f.Read(make([]byte, 1)); return err },
		"ReadAt":   func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"Write":    func() error { _, err := f.WriteString("x"); return err },
		"Seek":     func() error { _, err := f.Seek(0, 0); return err },
		"ReadDir":  func() error { _, err := f.ReadDir(-1); return err },
		"Sync":     func() error { return f.Sync() },
		"Close":    func() error { return f.Close() },
	} {
		require.ErrorIs(t, call(), errors.ErrUnsupported, what)
	}
}
