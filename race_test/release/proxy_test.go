package release_test

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree returns the files that a tag of the whole repository would have.
func tree(t *testing.T) (files []string) {
	t.Helper()
	out, err := try(root, nil, "git", "ls-files", "-co", "--exclude-standard")
	if err != nil {
		skip(t, "not a clone of the repository: "+out)
	}
	return strings.Split(out, "\n")
}

// nested returns the folders of the modules in the tree, except for the root's.
func nested(files []string) (dirs []string) {
	for _, file := range files {
		if dir, ok := strings.CutSuffix(file, "/go.mod"); ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// filesOf returns the files of the module in a folder, relative to it and without
// those of modules below.
func filesOf(dir string, files []string) map[string]string {
	within := func(file, dir string) bool { return dir == "." || strings.HasPrefix(file, dir+"/") }
	own := make(map[string]string)
	for _, file := range files {
		others := slices.ContainsFunc(nested(files), func(other string) bool {
			return other != dir && within(other, dir) && within(file, other)
		})
		if within(file, dir) && !others {
			own[strings.TrimPrefix(file, dir+"/")] = filepath.Join(root, file)
		}
	}
	return own
}

// publish puts a version of the module in a folder into a file proxy, in the layout
// of the module proxy protocol.
func publish(t *testing.T, proxy, dir, version string, files []string) {
	t.Helper()
	name, own := path, filesOf(dir, files)
	if dir != "." {
		name += "/" + dir
	}
	to := filepath.Join(proxy, name, "@v")
	require.NoError(t, os.MkdirAll(to, 0o777))
	info, err := json.Marshal(map[string]string{"Version": version, "Time": "2026-11-01T00:00:00Z"})
	require.NoError(t, err)
	mod, err := os.ReadFile(own["go.mod"])
	require.NoError(t, err)
	for file, content := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod} {
		require.NoError(t, os.WriteFile(filepath.Join(to, file), content, 0o666))
	}
	archive(t, filepath.Join(to, version+".zip"), name+"@"+version, own)
}

// archive writes a module's zip.
func archive(t *testing.T, file, prefix string, own map[string]string) {
	t.Helper()
	out, err := os.Create(file)
	require.NoError(t, err)
	z := zip.NewWriter(out)
	for name, source := range own {
		content, err := os.ReadFile(source)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted and not yet committed
		}
		require.NoError(t, err)
		w, err := z.Create(prefix + "/" + name)
		require.NoError(t, err)
		_, err = w.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.NoError(t, out.Close())
}
