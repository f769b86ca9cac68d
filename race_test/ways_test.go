package race_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const waysPage = "../docs/architecture.md"

// mostFiles is the largest number of files that each way of a value may cross.
var mostFiles = map[string]int{
	"Store, no waiter":    5,
	"Store, with waiters": 7,
	"Wait":                6,
	"Read":                5,
}

// TestWaysAreShort checks that the page lists the ways with functions that exist,
// and that no way crosses more than mostFiles files.
func TestWaysAreShort(t *testing.T) {
	ways := parseWays(t, section(t, waysPage, "The ways of a value"))
	for name, most := range mostFiles {
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, ways[name], "%s lists no functions", waysPage)
			files := make(map[string]bool)
			for _, v := range ways[name] {
				files[v.file] = true
				has := functionsOf(t, filepath.Join("..", v.file))
				for _, f := range v.functions {
					require.True(t, has[f], "%s has no function %s", v.file, f)
				}
			}
			require.LessOrEqual(t, len(files), most, "files on this way: %v", files)
		})
	}
	require.Len(t, ways, len(mostFiles), "every way has a limit")
}

// A visit is a line of a way: functions of one file.
type visit struct {
	file      string
	functions []string
}

// section returns the text below a heading of the second level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, ok, "%s has no section %q", page, heading)
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

var (
	visitLine = regexp.MustCompile("^- `([^`]+)`: (`[^`]+`(?:, `[^`]+`)*)$")
	inCode    = regexp.MustCompile("`([^`]+)`")
)

// parseWays parses the lists below headings of the third level.
func parseWays(t *testing.T, text string) map[string][]visit {
	t.Helper()
	ways := make(map[string][]visit)
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			name = heading
			ways[name] = nil
		} else if strings.HasPrefix(line, "- ") {
			m := visitLine.FindStringSubmatch(line)
			require.NotNil(t, m, "not a visit: %s", line)
			require.NotEmpty(t, name, "a visit of no way: %s", line)
			v := visit{file: m[1]}
			for _, f := range inCode.FindAllStringSubmatch(m[2], -1) {
				v.functions = append(v.functions, f[1])
			}
			ways[name] = append(ways[name], v)
		}
	}
	return ways
}

// functionsOf returns the functions and methods, as Type.Method, that a file declares.
func functionsOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := fn.Name.Name
		if fn.Recv != nil {
			name = typeName(fn.Recv.List[0].Type) + "." + name
		}
		names[name] = true
	}
	return names
}

// typeName returns the name of a receiver's type, without its parameters.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	}
	return e.(*ast.Ident).Name
}

// TestWhere checks that each row of the page's answers names functions and fields
// of its file.
func TestWhere(t *testing.T) {
	text := section(t, waysPage, "Where is ...?")
	rows := answerRow.FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, rows)
	require.Len(t, rows, strings.Count(text, "? |"), "rows that are not read")
	for _, row := range rows {
		has := declaredIn(t, filepath.Join("..", row[1]))
		for _, name := range inCode.FindAllStringSubmatch(row[2], -1) {
			require.True(t, has[name[1]], "%s does not declare %s", row[1], name[1])
		}
	}
}

// answerRow is a row with a question, one file and what the file declares.
var answerRow = regexp.MustCompile("(?m)^\\| [^`|]+ \\| `([^`]+)` \\| (`.*) \\|$")

// declaredIn returns the functions and methods, and the fields as type.field, that a
// file declares.
func declaredIn(t *testing.T, path string) map[string]bool {
	t.Helper()
	names := functionsOf(t, path)
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if ok {
			addFields(names, spec)
		}
		return !ok
	})
	return names
}

// addFields adds the fields of a struct type to names.
func addFields(names map[string]bool, spec *ast.TypeSpec) {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			names[spec.Name.Name+"."+name.Name] = true
		}
	}
}

// TestParseWays checks that lists are parsed and that other lines are not visits.
func TestParseWays(t *testing.T) {
	ways := parseWays(t, "Text.\n\n### A\n- `a.go`: `F`\n\nMore text:\n\n- `b/c.go`: `T.M`, `g`\n\n### B\n")
	require.Equal(t, map[string][]visit{
		"A": {{"a.go", []string{"F"}}, {"b/c.go", []string{"T.M", "g"}}},
		"B": nil,
	}, ways)
	has := functionsOf(t, "ways_test.go")
	require.True(t, has["typeName"])
	require.False(t, has["visit.file"])
	require.True(t, declaredIn(t, "ways_test.go")["visit.file"])
	require.False(t, declaredIn(t, "ways_test.go")["visit.name"])
}
