package race_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// standard is what the programs in README may import of the standard library.
var standard = map[string]string{"fmt": "fmt", "context": "context", "errors": "errors", "os": "os", "time": "time", "atomic": "sync/atomic", "http": "net/http", "url": "net/url"}

var (
	goBlock   = regexp.MustCompile("(?s)```go\n(.*?)```")
	qualifier = regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]`)
)

// TestReadmeCompiles checks that each block of Go in README is short and is the
// body of a function that has a context and may return an error.
func TestReadmeCompiles(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not on the PATH: ", err)
	}
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(blocks), 5)
	dir := t.TempDir()
	args := []string{"vet"}
	for i, block := range blocks {
		require.LessOrEqual(t, strings.Count(block[1], "\n"), 12, block[1])
		file := filepath.Join(dir, fmt.Sprintf("block%d.go", i))
		require.NoError(t, os.WriteFile(file, []byte(wrapped(i, block[1])), 0o666))
		args = append(args, file)
	}
	cmd := exec.Command(tool, args...)
	cmd.Dir = ".." // imports are resolved there
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// wrapped returns a Go file with the block in a function. It imports the packages
// that the block names.
func wrapped(i int, block string) string {
	imports := map[string]bool{`"context"`: true}
	for _, q := range qualifier.FindAllStringSubmatch(block, -1) {
		path, ok := standard[q[1]]
		if _, err := os.Stat(filepath.Join("..", q[1])); !ok && err == nil {
			path, ok = module+"/"+q[1], true
		}
		if ok {
			imports[fmt.Sprintf("%q", path)] = true
		}
	}
	return fmt.Sprintf("package readme\n\nimport (\n\t%s\n)\n\nfunc block%d(ctx context.Context) error {\n//line README.md:1\n%s\treturn nil\n}\n",
		strings.Join(slices.Sorted(maps.Keys(imports)), "\n\t"), i, block)
}

// link matches a Markdown link to something in the repository.
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks checks that the targets of the links in the root's pages and in docs
// exist.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md", "../bench/*.md", "../.github/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	require.NotEmpty(t, pages)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, l := range link.FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(page), l[1]))
			require.NoError(t, err, "%s links to %s", page, l[1])
		}
	}
}
