package ring

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var firstKernel = regexp.MustCompile(`(?:^|; )(\d+\.\d+)$`)

// BeforeFirst is BeforeFirstOf the constant of that prefix and value.
func BeforeFirst(t testing.TB, prefix string, value int64) string {
	t.Helper()
	for _, row := range abi {
		if strings.HasPrefix(row.name, prefix) && row.value == value {
			return BeforeFirstOf(t, row.name)
		}
	}
	require.Fail(t, "no such constant", "%s of %#x", prefix, value)
	return ""
}

// BeforeFirstOf is a reason to skip: "before Linux X", where X is what the comment
// of a constant names.
func BeforeFirstOf(t testing.TB, name string) string {
	t.Helper()
	for _, file := range []string{"abi_linux.go", "abi_ops_linux.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		if first := commentOf(f, name); first != "" {
			return "before Linux " + first
		}
	}
	require.Fail(t, "no first kernel", name)
	return ""
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
	require.Equal(t, "before Linux 6.12", BeforeFirstOf(t, "PbufRingInc"))
	for _, row := range abi {
		for _, prefix := range []string{"Op", "Feat", "Setup"} {
			if strings.HasPrefix(row.name, prefix) {
				BeforeFirst(t, prefix, row.value)
			}
		}
	}
}
