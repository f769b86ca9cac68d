package race_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	quotes    = regexp.MustCompile("`([^`\n]+)`")
	wordsOf   = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	nameQuote = regexp.MustCompile(`^\*?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(\(\))?$`)
	fileQuote = regexp.MustCompile(`^[\w./{},*-]+(\.(go|md|pml|sh|c|tmpl|mod|svg)|/)$`)
)

// TestQuotes checks that every file that the documentation quotes exists and that
// every name is a word of the source. CHANGELOG.md may name what was removed.
// docs/models/order.md also names instructions and functions of the kernel, and has
// a test of its own.
func TestQuotes(t *testing.T) {
	files := tracked(t)
	words := sourceWords(t, files)
	for _, file := range files {
		words[filepath.Base(file)] = true
	}
	for _, doc := range files {
		if filepath.Ext(doc) != ".md" || doc == "CHANGELOG.md" || doc == "docs/models/order.md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", doc))
		require.NoError(t, err)
		for _, m := range quotes.FindAllStringSubmatch(withoutFences(string(text)), -1) {
			assert.NoError(t, checkQuote(filepath.Dir(doc), m[1], words), doc)
		}
	}
}

// TestQuotesConvict checks that a missing file and a missing name are found.
func TestQuotesConvict(t *testing.T) {
	words := map[string]bool{"Store": true, "Map": true}
	for quote, good := range map[string]bool{
		"Map.Store": true, "Map.Stoer": false, "*Map": true, "Store()": true, "lenght": false,
		"wake/wake.go": true, "wake/{wake,doc}.go": true, "wake/woke.go": false, "wake/": true, "wok/": false,
		"a few words": true, "-flag": true,
	} {
		err := checkQuote("docs", quote, words)
		require.Equal(t, good, err == nil, "%s: %v", quote, err)
	}
}

func withoutFences(text string) string {
	parts := strings.Split(text, "```")
	var kept strings.Builder
	for i := 0; i < len(parts); i += 2 {
		kept.WriteString(parts[i])
	}
	return kept.String()
}

func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-co", "--exclude-standard")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Skip("not in a git checkout: ", err)
	}
	return strings.Fields(string(out))
}

// sourceWords returns the words of all files except the documentation.
func sourceWords(t *testing.T, files []string) map[string]bool {
	words := make(map[string]bool)
	for _, file := range files {
		if ext := filepath.Ext(file); ext == ".md" || ext == ".svg" || file == "race_test/quotes_test.go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", file))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		require.NoError(t, err)
		for w := range strings.FieldsFuncSeq(string(text), isNoWord) {
			words[w] = true
		}
	}
	return words
}

func isNoWord(r rune) bool {
	return r != '_' && (r < '0' || '9' < r) && (r < 'A' || 'Z' < r) && (r < 'a' || 'z' < r)
}

type missing string

func (m missing) Error() string { return "`" + string(m) + "` is not there" }

// checkQuote returns an error if quote is a file or a name that does not exist.
func checkQuote(dir, quote string, words map[string]bool) error {
	switch {
	case fileQuote.MatchString(quote):
		for _, base := range []string{"..", filepath.Join("..", dir)} {
			if exist(filepath.Join(base, quote)) {
				return nil
			}
		}
		if !strings.Contains(quote, "/") && matchesAny(quote, words) {
			return nil
		}
		return missing(quote)
	case nameQuote.MatchString(quote):
		for _, w := range wordsOf.FindAllString(quote, -1) {
			if !words[w] {
				return missing(quote)
			}
		}
	}
	return nil
}

// matchesAny reports whether a word matches pattern.
func matchesAny(pattern string, words map[string]bool) bool {
	for w := range words {
		if ok, _ := filepath.Match(pattern, w); ok {
			return true
		}
	}
	return false
}

// exist reports whether each file of a pattern like a/{b,c}.go exists.
func exist(pattern string) bool {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		found, _ := filepath.Glob(pattern)
		return len(found) > 0
	}
	list, after, _ := strings.Cut(rest, "}")
	for _, one := range strings.Split(list, ",") {
		if !exist(before + one + after) {
			return false
		}
	}
	return true
}
