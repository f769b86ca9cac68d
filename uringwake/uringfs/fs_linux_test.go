package uringfs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// tree makes a directory with files of all kinds that fstest knows.
func tree(t testing.TB) string {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/empty"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/large"), []byte(strings.Repeat("0123456789", 1000)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hello"), []byte("hello, world"), 0o755))
	require.NoError(t, os.Symlink("hello", filepath.Join(dir, "link")))
	return dir
}

func TestDirFSIsAFileSystem(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		fsys := uringfs.DirFS(tree(t))
		require.NoError(t, fstest.TestFS(fsys, "hello", "link", "a/empty", "a/b/large", "a/b/c"))
		sub, err := fs.Sub(fsys, "a/b")
		require.NoError(t, err)
		require.NoError(t, fstest.TestFS(sub, "large", "c"))
	})
}

// TestDirFSIsThatOfOS compares what is found and what is refused.
func TestDirFSIsThatOfOS(t *testing.T) {
	skipWithoutRing(t)
	dir := tree(t)
	ours, std := uringfs.DirFS(dir), os.DirFS(dir)
	for _, name := range []string{".", "hello", "link", "a", "a/b/large", "none", "a/none", "../x", "/hello", "", "hello/x", "a//b"} {
		wantInfo, want := fs.Stat(std, name)
		info, err := fs.Stat(ours, name)
		failsAs(t, want, err)
		sameInfo(t, wantInfo, info)
		wantInfo, want = fs.Lstat(std, name)
		info, err = fs.Lstat(ours, name)
		failsAs(t, want, err)
		sameInfo(t, wantInfo, info)

		_, want = std.Open(name)
		f, err := ours.Open(name)
		failsAs(t, want, err)
		if err == nil {
			require.NoError(t, f.Close())
		} else {
			require.Nil(t, f)
		}
		wantText, want := fs.ReadFile(std, name)
		text, err := fs.ReadFile(ours, name)
		failsAs(t, want, err)
		require.Equal(t, wantText, text)
		wantList, want := fs.ReadDir(std, name)
		list, err := fs.ReadDir(ours, name)
		failsAs(t, want, err)
		require.Equal(t, entries(wantList), entries(list))
		wantTo, want := fs.ReadLink(std, name)
		to, err := fs.ReadLink(ours, name)
		require.Equal(t, errors.Unwrap(want), errors.Unwrap(err)) // that of os has the whole path
		require.Equal(t, wantTo, to)
	}
	_, err := uringfs.DirFS("").Open("hello")
	require.ErrorIs(t, err, fs.ErrInvalid)
}

func sameInfo(t testing.TB, want, got fs.FileInfo) {
	t.Helper()
	if want == nil {
		require.Nil(t, got)
		return
	}
	require.Equal(t, fs.FormatFileInfo(want), fs.FormatFileInfo(got))
	require.Equal(t, want.ModTime().UnixNano(), got.ModTime().UnixNano())
	require.Equal(t, want.Sys(), got.Sys())
}

func TestInfoOfEveryKindOfFile(t *testing.T) {
	skipWithoutRing(t)
	ctx := context.Background()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/sticky", 0o755))
	require.NoError(t, os.Chmod(dir+"/sticky", 0o755|os.ModeSticky|os.ModeSetgid|os.ModeSetuid))
	for _, name := range []string{"/dev/null", "/", "/proc/self/exe", "/tmp/", dir + "/sticky", "."} {
		want, err := os.Stat(name)
		require.NoError(t, err)
		got, err := uringfs.Stat(ctx, name)
		require.NoError(t, err)
		require.Equal(t, fs.FormatFileInfo(want), fs.FormatFileInfo(got))
		want, err = os.Lstat(name)
		require.NoError(t, err)
		got, err = uringfs.Lstat(ctx, name)
		require.NoError(t, err)
		require.Equal(t, fs.FormatFileInfo(want), fs.FormatFileInfo(got))
	}
}

func TestFileIsAReader(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		const contents = "what the file has, in some bytes"
		f := open(t, ctx, tempFile(t, contents), os.O_RDONLY)
		require.NoError(t, iotest.TestReader(f, []byte(contents)))
	})
}

// TestReadDirIsThatOfOS reads a directory in parts, and again after Seek.
func TestReadDirIsThatOfOS(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		dir := t.TempDir()
		for i := range 200 { // more than fit into one buffer
			require.NoError(t, os.WriteFile(filepath.Join(dir, strings.Repeat("n", 40)+string(rune('a'+i%26))+strings.Repeat("x", i%100)), nil, 0o644))
		}
		std, err := os.Open(dir)
		require.NoError(t, err)
		defer std.Close()
		f := open(t, ctx, dir, os.O_RDONLY)
		for range 2 {
			for _, n := range []int{1, 3, 100, 0, 5, -1} {
				want, wantErr := std.ReadDir(n)
				got, err := f.ReadDirContext(ctx, n)
				require.Equal(t, wantErr, err)
				require.Equal(t, want == nil, got == nil)
				require.Equal(t, entries(want), entries(got))
			}
			_, err = std.Seek(0, 0)
			require.NoError(t, err)
			_, err = f.SeekContext(ctx, 0, 0)
			require.NoError(t, err)
		}
		want, err := os.ReadDir(dir)
		require.NoError(t, err)
		got, err := uringfs.ReadDir(ctx, dir)
		require.NoError(t, err)
		require.Equal(t, entries(want), entries(got))
		i, err := got[7].Info()
		require.NoError(t, err)
		wantInfo, err := want[7].Info()
		require.NoError(t, err)
		sameInfo(t, wantInfo, i)
		require.NoError(t, os.Remove(filepath.Join(dir, got[7].Name())))
		_, err = got[7].Info()
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func entries(list []fs.DirEntry) (text []string) {
	for _, e := range list {
		text = append(text, fs.FormatDirEntry(e))
	}
	return text
}

func TestNamesAreMadeAndRemoved(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		dir := t.TempDir()
		require.NoError(t, uringfs.Mkdir(ctx, dir+"/d", 0o700))
		failsAs(t, os.Mkdir(dir+"/d", 0o700), uringfs.Mkdir(ctx, dir+"/d", 0o700))
		require.NoError(t, uringfs.WriteFile(ctx, dir+"/d/f", []byte("text"), 0o640))
		info, err := os.Stat(dir + "/d/f")
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o640), info.Mode())
		require.NoError(t, uringfs.Rename(ctx, dir+"/d/f", dir+"/d/g"))
		failsAs(t, os.Rename(dir+"/d/f", dir+"/d/g"), uringfs.Rename(ctx, dir+"/d/f", dir+"/d/g"))
		text, err := uringfs.ReadFile(ctx, dir+"/d/g")
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
		failsAs(t, os.Remove(dir+"/d"), uringfs.Remove(ctx, dir+"/d"))
		require.NoError(t, uringfs.Remove(ctx, dir+"/d/g"))
		failsAs(t, os.Remove(dir+"/d/g"), uringfs.Remove(ctx, dir+"/d/g"))
		require.NoError(t, uringfs.Remove(ctx, dir+"/d"))
	})
}
