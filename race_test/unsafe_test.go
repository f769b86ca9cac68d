package race_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// withUnsafe are the files that import unsafe, without tests and other modules.
// Package ring, which shares memory with the kernel, is listed as a whole.
var withUnsafe = []string{
	"internal/striped/striped.go",
	"race_test/kernels/probe/calls_linux.go",
	"race_test/kernels/probe/flags_linux.go",
	"race_test/kernels/probe/register_linux.go",
	"uringwake/bridge_linux.go",
	"uringwake/doorbell_linux.go",
	"uringwake/eventfd_linux.go",
	"uringwake/files_linux.go",
	"uringwake/internal/bridge/op_linux.go",
	"uringwake/internal/refuse/filter_linux.go",
	"uringwake/internal/refuse/ring_linux.go",
	"uringwake/internal/refuse/supervisor_linux.go",
	"uringwake/messages_linux.go",
	"uringwake/op_linux.go",
	"uringwake/ops_linux.go",
	"uringwake/race_linux.go",
	"uringwake/registered_linux.go",
	"uringwake/ring",
	"uringwake/sockets_linux.go",
	"uringwake/streams_linux.go",
	"uringwake/submission_linux.go",
	"uringwake/transfer_linux.go",
	"uringwake/uringfs/file.go",
	"uringwake/uringnet/listener_linux.go",
	"uringwake/uringnet/message_linux.go",
	"uringwake/uringnet/packetaddr_linux.go",
	"uringwake/uringnet/race_linux.go",
	"uringwake/uringnet/sockaddr_linux.go",
	"uringwake/uringnet/socket_linux.go",
	"uringwake/uringnet/transfer_linux.go",
	"uringwake/uringnet/writev_linux.go",
	"uringwake/vectors_linux.go",
	"uringwake/withoutnowait_linux.go",
	"uringwake/withoutring_linux.go",
	"waitmap/cell_unsafe.go",
	"waitmap/engine.go",
	"waitmap/group_unsafe.go",
	"waitmap/hash.go",
	"waitmap/load_unsafe.go",
}

// TestUnsafe checks that only the listed files import unsafe, so that adding one is
// a deliberate change.
func TestUnsafe(t *testing.T) {
	var files []string
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipModule(file, d)
		}
		if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") && importsUnsafe(t, file) {
			files = append(files, strings.TrimPrefix(filepath.ToSlash(file), "../"))
		}
		return nil
	})
	require.NoError(t, err)
	for i, file := range files {
		if path.Dir(file) == "uringwake/ring" {
			files[i] = "uringwake/ring"
		}
	}
	require.Equal(t, withUnsafe, slices.Compact(files))
}

// skipModule skips the folders of other modules and those that the go tool skips.
func skipModule(dir string, d fs.DirEntry) error {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if dir != ".." && (err == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
		return filepath.SkipDir
	}
	return nil
}

func importsUnsafe(t *testing.T, file string) bool {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	require.NoError(t, err)
	for _, i := range f.Imports {
		if name, err := strconv.Unquote(i.Path.Value); err == nil && name == "unsafe" {
			return true
		}
	}
	return false
}
