package release_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var identity = []string{
	"GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.com", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@example.com",
	"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull,
}

// clone makes a repository in which release.sh accepts v0.1.0, after some files
// were changed.
func clone(t *testing.T, changed map[string]string) (dir string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(root, "release.sh"))
	require.NoError(t, err)
	files := map[string]string{
		"release.sh":                       string(script),
		"CHANGELOG.md":                     "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-12-01\n",
		"go.mod":                           "module " + path + "\n",
		"bench/go.mod":                     "module " + path + "/bench\n\nrequire " + path + " v0.1.0\n",
		"vigildebug/otel/go.mod":           "module " + path + "/vigildebug/otel\n\nrequire (\n\t" + path + " v0.1.0\n)\n",
		"cluster/go.mod":                   "module " + path + "/cluster\n\nrequire " + path + " v0.1.0\n",
		"cluster/engine/etcdengine/go.mod": "module " + path + "/cluster/engine/etcdengine\n\nrequire (\n\t" + path + " v0.1.0\n\t" + path + "/cluster v0.1.0\n)\n",
		"vigildebug/prometheus/go.mod":     "module " + path + "/vigildebug/prometheus\n\nrequire (\n\t" + path + " v0.1.0\n)\n",
	}
	dir = t.TempDir()
	for name, content := range files {
		if c, ok := changed[name]; ok {
			content = c
		}
		write(t, filepath.Join(dir, name), content)
	}
	for _, command := range []string{"git init -q", "git add .", "git commit -q -m all"} {
		run(t, dir, identity, strings.Fields(command)...)
	}
	return dir
}

func write(t *testing.T, file, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(t, os.WriteFile(file, []byte(content), 0o777))
}

const commands = "git tag -a -m v0.1.0 v0.1.0\n" +
	"git tag -a -m vigildebug/prometheus/v0.1.0 vigildebug/prometheus/v0.1.0\n" +
	"git tag -a -m vigildebug/otel/v0.1.0 vigildebug/otel/v0.1.0\n" +
	"git tag -a -m cluster/v0.1.0 cluster/v0.1.0\n" +
	"git tag -a -m cluster/engine/etcdengine/v0.1.0 cluster/engine/etcdengine/v0.1.0"

// TestScript checks that with -n the script prints what it would do, that without
// it it does that, and that it refuses a second run.
func TestScript(t *testing.T) {
	needs(t, "bash", "git")
	dir := clone(t, nil)
	require.Equal(t, commands, run(t, dir, identity, "bash", "release.sh", "v0.1.0", "-n"))
	require.Empty(t, run(t, dir, identity, "git", "tag"))

	require.Equal(t, commands, run(t, dir, identity, "bash", "release.sh", "v0.1.0"))
	tags := "cluster/engine/etcdengine/v0.1.0\ncluster/v0.1.0\nv0.1.0\nvigildebug/otel/v0.1.0\nvigildebug/prometheus/v0.1.0"
	require.Equal(t, tags, run(t, dir, identity, "git", "tag"))

	out, err := try(dir, identity, "bash", "release.sh", "v0.1.0")
	require.Error(t, err)
	require.Contains(t, out, "the tag v0.1.0 exists")
	require.Equal(t, tags, run(t, dir, identity, "git", "tag"))
}

// TestScriptRefuses checks what must hold before a release, and that an error
// leaves no tag.
func TestScriptRefuses(t *testing.T) {
	needs(t, "bash", "git")
	for name, c := range map[string]struct {
		version, file, content, want string
	}{
		"no v":                 {version: "0.1.0", want: "usage"},
		"major version 2":      {version: "v2.0.0", want: "usage"},
		"no version":           {version: "-n", want: "usage"},
		"not in the changelog": {"v0.1.0", "CHANGELOG.md", "## [Unreleased]\n", "CHANGELOG.md has no heading"},
		"without a date":       {"v0.1.0", "CHANGELOG.md", "## [0.1.0]\n", "CHANGELOG.md has no heading"},
		"another version":      {"v0.1.0", "CHANGELOG.md", "## [0.1.01] - 2026-12-01\n", "CHANGELOG.md has no heading"},
		"an older requirement": {"v0.1.0", "bench/go.mod", "require " + path + " v0.0.9\n", "bench/go.mod does not require"},
		"an older module":      {"v0.1.0", "cluster/engine/etcdengine/go.mod", "require (\n\t" + path + " v0.1.0\n\t" + path + "/cluster v0.0.9\n)\n", "etcdengine/go.mod requires a module"},
		"no requirement":       {"v0.1.0", "vigildebug/otel/go.mod", "module x\n", "vigildebug/otel/go.mod does not require"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := clone(t, map[string]string{c.file: c.content})
			out, err := try(dir, identity, "bash", "release.sh", c.version)
			require.Error(t, err)
			require.Contains(t, out, c.want)
			dry, err := try(dir, identity, "bash", "release.sh", c.version, "-n")
			require.Error(t, err)
			require.Contains(t, dry, c.want)
			require.Empty(t, run(t, dir, identity, "git", "tag"))
		})
	}
	t.Run("not committed", func(t *testing.T) {
		dir := clone(t, nil)
		write(t, filepath.Join(dir, "new.go"), "package vigil\n")
		out, err := try(dir, identity, "bash", "release.sh", "v0.1.0")
		require.Error(t, err)
		require.Contains(t, out, "not clean")
		require.Empty(t, run(t, dir, identity, "git", "tag"))
	})
}

// TestScriptKnowsModules checks that the script tags the modules that the tests
// resolve.
func TestScriptKnowsModules(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(root, "release.sh"))
	require.NoError(t, err)
	require.Contains(t, string(script), "\npublished=(. "+strings.Join(published, " ")+")\n")
}
