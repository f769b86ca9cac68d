package race_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An access is a use of shared memory and the nodes around it, innermost first.
type access struct{ around []ast.Node }

func (a access) node() ast.Node   { return a.around[0] }
func (a access) parent() ast.Node { return a.around[1] }

var (
	sharedWords   = []string{"khead", "ktail", "kflags", "kdropped", "koverflow"} // pointers into a ring's head
	sharedMemory  = []string{"sqes", "cqes", "bufs", "waits"}                     // entries
	entriesBy     = []string{"at", "Peek", "GetSQE", "entry", "next"}             // methods that return a pointer to one
	sharedTypes   = []string{"*CQE", "*RegWait", "*ring.SQE", "*ring.CQE"}        // types of parameters and receivers that point to shared memory
	queues        = []string{"*SubmissionQueue", "*CompletionQueue", "*BufRing"}  // in their methods any pointer may
	addressesOnly = []string{"uintptr", "len"}
)

// accesses returns a function's accesses to shared memory. Storing a shared pointer
// anywhere but in a field like the one that it was read from counts too, so that no
// shared pointer is missed.
func accesses(fn *ast.FuncDecl) (found []access) {
	f := finder{locals: parameters(fn), queue: fn.Recv != nil && slices.Contains(queues, text(fn.Recv.List[0].Type))}
	f.pointer = fn.Name.Name == "at" || fn.Name.Name == "word"
	ast.Inspect(fn.Body, func(n ast.Node) bool { f.note(n); return true })
	var stack []ast.Node
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		around := slices.Clone(stack)
		slices.Reverse(around)
		if a := (access{around}); len(around) > 1 && f.is(a) {
			found = append(found, a)
		}
		return true
	})
	return found
}

// parameters returns the names of the parameters that point to entries.
func parameters(fn *ast.FuncDecl) (names []string) {
	fields := slices.Clone(fn.Type.Params.List)
	if fn.Recv != nil {
		fields = append(fields, fn.Recv.List...)
	}
	for _, field := range fields {
		for _, name := range field.Names {
			if slices.Contains(sharedTypes, text(field.Type)) {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// A finder searches one function.
type finder struct {
	locals  []string // variables that point to entries
	queue   bool     // the function is a method of a queue
	pointer bool     // the function only computes addresses
}

// note records a variable that points to an entry.
func (f *finder) note(n ast.Node) {
	assign, ok := n.(*ast.AssignStmt)
	if !ok || len(assign.Lhs) < len(assign.Rhs) {
		return
	}
	for i, value := range assign.Rhs {
		if name, ok := assign.Lhs[i].(*ast.Ident); ok && pointsAtEntry(value) {
			f.locals = append(f.locals, name.Name)
		}
	}
}

func pointsAtEntry(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		return ok && slices.Contains(entriesBy, s.Sel.Name)
	case *ast.UnaryExpr:
		index, ok := e.X.(*ast.IndexExpr)
		return e.Op == token.AND && ok && isMemory(index.X)
	}
	return false
}

func isMemory(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && slices.Contains(sharedMemory, s.Sel.Name) && !strings.HasSuffix(strings.ToLower(text(s.X)), "off") // an offset
}

// is reports whether a node is an access.
func (f *finder) is(a access) bool {
	switch n := a.node().(type) {
	case *ast.SelectorExpr:
		return slices.Contains(sharedWords, n.Sel.Name) && !f.harmless(a) ||
			isMemory(n) && !f.harmless(a) ||
			f.isLocal(n.X) && !isCalled(a)
	case *ast.StarExpr:
		_, computed := n.X.(*ast.CallExpr)
		return f.isLocal(n.X) || f.queue && computed || isCallOf(n.X, "word") || isWord(n.X)
	case *ast.CallExpr:
		return pointsAtEntry(n) && isSelected(a) || isCallOf(n, "word") && !f.harmless(a)
	case *ast.IndexExpr:
		return isMemory(n.X) && !pointsAtEntry(parentExpr(a))
	}
	return false
}

func (f *finder) isLocal(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && slices.Contains(f.locals, name.Name)
}

// harmless reports whether a shared pointer is only set, compared or measured, or
// is the base of an address that counts by itself.
func (f *finder) harmless(a access) bool {
	switch p := a.parent().(type) {
	case *ast.BinaryExpr:
		return text(p.Y) == "nil"
	case *ast.AssignStmt:
		return slices.Contains(p.Lhs, a.node().(ast.Expr)) || isMemory(p.Lhs[0]) || isWord(p.Lhs[0])
	case *ast.KeyValueExpr:
		return isWord(p.Key)
	case *ast.CallExpr:
		return f.pointer || slices.Contains(addressesOnly, text(p.Fun))
	case *ast.IndexExpr, *ast.StarExpr:
		return true
	case *ast.SelectorExpr:
		return true // the name of an access: the whole access counts
	}
	return f.pointer
}

func isWord(e ast.Expr) bool {
	name := text(e)
	return slices.Contains(sharedWords, name[strings.LastIndex(name, ".")+1:])
}

// isCalled reports whether a selector is a method that is called.
func isCalled(a access) bool {
	call, ok := a.parent().(*ast.CallExpr)
	return ok && call.Fun == a.node()
}

// isSelected reports whether the result of a call is selected from at once, other
// than by a method.
func isSelected(a access) bool {
	_, ok := a.parent().(*ast.SelectorExpr)
	return ok && !isCalled(access{a.around[1:]})
}

func isCallOf(e ast.Node, name string) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && text(call.Fun) == name
}

func parentExpr(a access) ast.Expr {
	e, _ := a.parent().(ast.Expr)
	return e
}

// TestAccessesAreFound checks accesses with code that has known ones.
func TestAccessesAreFound(t *testing.T) {
	for code, want := range map[string]int{
		"func (q *SubmissionQueue) f() { x := *q.khead; _ = x }":                    1,
		"func f(q *SubmissionQueue) { x := *q.khead; _ = x }":                       1,
		"func f(q *SubmissionQueue) { p := q.khead; _ = p }":                        1,
		"func f(q *SubmissionQueue) { g(q.ktail) }":                                 1,
		"func f(q *SubmissionQueue) *uint32 { return q.ktail }":                     1,
		"func f(q *SubmissionQueue) { atomic.LoadUint32(q.ktail) }":                 1,
		"func f(q *SubmissionQueue) bool { return q.ktail == nil }":                 0,
		"func f(q *SubmissionQueue) { q.kflags = word(base, 1) }":                   0,
		"func f(q *SubmissionQueue) { n := *word(base, 1); _ = n }":                 1,
		"func f(q *CompletionQueue) { c := q.at(1); g(c); c.Flags = 1 }":            1,
		"func f(q *CompletionQueue) uint32 { return q.at(1).Flags }":                1,
		"func f(q *CompletionQueue) { if c := q.Peek(); c != nil { g(c.Res) } }":    1,
		"func f(q *SubmissionQueue) { s := q.GetSQE(); *s = SQE{}; s.PrepNop() }":   1,
		"func f(q *SubmissionQueue) { q.GetSQE().PrepNop() }":                       0,
		"func f(b *BufRing) int { return len(b.bufs) }":                             0,
		"func f(b *BufRing) { e := &b.bufs[1]; e.id = 2 }":                          1,
		"func f(b *BufRing) uint16 { return b.bufs[1].id }":                         1,
		"func f(c *CQE) int32 { return c.Res }":                                     1,
		"func (q *CompletionQueue) f(p *uint32) uint32 { return *(*uint32)(g(p)) }": 1,
	} {
		require.Len(t, accesses(parseFunc(t, code)), want, code)
	}
}

func parseFunc(t *testing.T, code string) *ast.FuncDecl {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "f.go", "package p\n"+code, 0)
	require.NoError(t, err)
	return f.Decls[0].(*ast.FuncDecl)
}
