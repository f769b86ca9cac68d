package ring

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var firstKernel = regexp.MustCompile(`(?:^|; )(\d+\.\d+)$`)

// BeforeFirst is a reason to skip: "before Linux X", where X is what the comment of
// a constant names. The constant is the one of that prefix and value.
func BeforeFirst(t testing.TB, prefix string, value int64) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "abi_linux.go", nil, parser.ParseComments)
	require.NoError(t, err)
	var first string
	for _, row := range abi {
		if strings.HasPrefix(row.name, prefix) && row.value == value {
			first = cmp.Or(first, commentOf(f, row.name))
		}
	}
	require.NotEmpty(t, first, "%s of %#x", prefix, value)
	return "before Linux " + first
}

// commentOf is the kernel in the comment of a constant.
func commentOf(f *ast.File, name string) (first string) {
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != name {
			return true
		}
		if m := firstKernel.FindStringSubmatch(strings.TrimSpace(v.Comment.Text())); m != nil {
			first = m[1]
		}
		return false
	})
	return first
}

// Each opcode, feature and flag of setup has a first kernel.
func TestBeforeFirst(t *testing.T) {
	require.Equal(t, "before Linux 5.18", BeforeFirst(t, "Op", OpMsgRing))
	require.Equal(t, "before Linux 5.17", BeforeFirst(t, "Feat", FeatCQESkip))
	for _, row := range abi {
		for _, prefix := range []string{"Op", "Feat", "Setup"} {
			if strings.HasPrefix(row.name, prefix) {
				BeforeFirst(t, prefix, row.value)
			}
		}
	}
}
