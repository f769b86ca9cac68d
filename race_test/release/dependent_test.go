package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// published are the nested modules that other modules may require.
var published = []string{"vigildebug/prometheus", "vigildebug/otel", "cluster", "cluster/engine/etcdengine"}

// A goMod has the fields of `go mod edit -json` that the tests use.
type goMod struct {
	Module  struct{ Path string }
	Require []struct{ Path, Version string }
}

func read(t *testing.T, dir string) (m goMod) {
	t.Helper()
	out := run(t, filepath.Join(root, dir), nil, "go", "mod", "edit", "-json")
	require.NoError(t, json.Unmarshal([]byte(out), &m))
	return m
}

// version returns the version of the root that a module requires.
func (m goMod) version() string {
	for _, r := range m.Require {
		if r.Path == path {
			return r.Version
		}
	}
	return ""
}

// TestModulesFollowFolders checks that a tag's prefix is both the folder and the
// end of the module's path, and that all modules require the same version of the
// root, which can exist.
func TestModulesFollowFolders(t *testing.T) {
	needs(t, "go", "git")
	dirs := nested(tree(t))
	require.Subset(t, dirs, published)
	version := read(t, published[0]).version()
	for _, dir := range dirs {
		m := read(t, dir)
		require.Equal(t, path+"/"+dir, m.Module.Path)
		require.Equal(t, version, m.version(), dir)
		require.Regexp(t, `^v[01]\.\d+\.\d+`, m.version(), dir)
		require.NotEqual(t, "v0.0.0", m.version(), dir)
	}
}

const program = `package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
	"github.com/vigil-go/vigil/vigildebug"
	vigilotel "github.com/vigil-go/vigil/vigildebug/otel"
	vigilprom "github.com/vigil-go/vigil/vigildebug/prometheus"
	"github.com/vigil-go/vigil/waitmap"
)

func main() {
	defer vigildebug.Map("answers", new(waitmap.Map[string, int]))()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(vigilprom.NewCollector(nil))
	families, err := metrics.Gather()
	v, _, loaded := vigilotel.NewGroup[string, int](nil).Do(context.Background(), "key", func(context.Context) (int, error) { return 42, nil })
	_, refused := cluster.Open(context.Background(), nil) // it is not said where
	_, refusedToo := etcdengine.Open(context.Background(), nil)
	fmt.Println(len(families) > 0, err, v, loaded, refused != nil, refusedToo != nil)
}
`

// TestDependent resolves the imports of a dependent module that requires the
// modules that are published. Replace directives of these modules have no effect
// there. Other modules come from the module cache. With -strict the test also
// builds and runs the program, which may take minutes.
func TestDependent(t *testing.T) {
	needs(t, "go", "git")
	if testing.Short() {
		t.Skip("unpacks many modules")
	}
	files := tree(t)
	cache := run(t, root, nil, "go", "env", "GOMODCACHE")
	version := read(t, published[0]).version()
	proxy, dir := t.TempDir(), t.TempDir()
	requires := ""
	for _, module := range append([]string{"."}, published...) {
		cached(t, cache, read(t, module))
		publish(t, proxy, module, version, files)
		if module != "." {
			requires += "require " + path + "/" + module + " " + version + "\n"
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/dependent\n\ngo 1.26.0\n\n"+requires), 0o666))

	env := []string{
		"GOPROXY=file://" + filepath.ToSlash(proxy) + ",file://" + filepath.ToSlash(filepath.Join(cache, "cache", "download")) + ",off",
		"GOMODCACHE=" + t.TempDir(), // an untagged version must not get into the user's cache
		"GOFLAGS=-mod=mod -modcacherw -trimpath", "GOSUMDB=off", "GOPRIVATE=", "GONOPROXY=none", "GOWORK=off", "GOTOOLCHAIN=local",
	}
	require.Contains(t, run(t, dir, env, "go", "list", "-deps", "."), path+"/vigildebug/otel")
	require.Equal(t, path+" "+version, run(t, dir, env, "go", "list", "-m", path))
	if *strict {
		require.Equal(t, "true <nil> 42 <nil> true true", lastLine(run(t, dir, env, "go", "run", ".")))
	}
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// cached skips the test if the module cache lacks what a module requires, as after
// a mere `go test ./...` of the root.
func cached(t *testing.T, cache string, m goMod) {
	t.Helper()
	upper := regexp.MustCompile("[A-Z]")
	for _, r := range m.Require {
		if strings.HasPrefix(r.Path, path) {
			continue
		}
		name := upper.ReplaceAllStringFunc(r.Path, func(c string) string { return "!" + strings.ToLower(c) })
		if _, err := os.Stat(filepath.Join(cache, "cache", "download", name, "@v", r.Version+".zip")); err != nil {
			skip(t, "run `go mod download` in "+m.Module.Path+" first: "+err.Error())
		}
	}
}
