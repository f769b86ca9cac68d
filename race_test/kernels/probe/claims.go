package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A claim is what package ring's comments say of a name.
type claim struct {
	kind, name string
	first      version // zero: nothing
}

// kinds are the sections of the page, by what a constant's name begins with.
// All constants of the second file are flags of operations and registrations.
var kinds = []struct{ prefix, kind string }{
	{"Op", "opcode"},
	{"Setup", "setup flag"},
	{"Feat", "feature"},
	{"Enter", "enter flag"},
	{"SQE", "entry flag"},
	{"CQEvent", "shared flag"},
	{"CQE", "completion flag"},
	{"SQ", "shared flag"},
	{"Register", "registration"},
	{"Unregister", "registration"},
}

const (
	kindFlag = "flag"
	kindCall = "call"
	kindFace = "uringwake"
)

func kindOf(file, name string) string {
	if filepath.Base(file) == "abi_ops_linux.go" {
		return kindFlag
	}
	i := slices.IndexFunc(kinds, func(k struct{ prefix, kind string }) bool { return strings.HasPrefix(name, k.prefix) })
	if i < 0 {
		return kindFlag
	}
	return kinds[i].kind
}

// notAsked are constants that no kernel can be asked for: where something lies in
// a word.
var notAsked = []string{"CQEBufferShift", "TimestampHWShift", "TimestampType", "ZcrxAreaShift", "ZcrxAreaMask"}

// A source is what package ring's files say.
type source struct {
	constants []claim
	calls     map[string]*call
}

// A call is an exported function or method, or one that those use.
type call struct {
	claim
	doc       string
	constants []string // that its body names
	calls     []string // and calls, of the package
}

var (
	afterComment = regexp.MustCompile(`(?:^|; )(\d\.\d+)(?:;|$)`)
	endOfDoc     = regexp.MustCompile(`(\d\.\d+)\.$`)
	ofCall       = regexp.MustCompile(`[;.]\s+Linux\s+(\d\.\d+)`)
)

// readSource reads package ring in dir.
func readSource(dir string) (*source, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_linux.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no package in %s: %w", dir, cmp.Or(err, filepath.ErrBadPattern))
	}
	s := &source{calls: map[string]*call{}}
	var parsed []*ast.File
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f)
		if strings.HasPrefix(filepath.Base(file), "abi_") {
			s.constants = append(s.constants, constants(file, f)...)
		}
	}
	for _, f := range parsed {
		s.addCalls(f)
	}
	return s, nil
}

// constants are the exported ones of a file.
func constants(file string, f *ast.File) (all []claim) {
	for _, d := range f.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, spec := range decl.Specs {
			v := spec.(*ast.ValueSpec)
			name := v.Names[0].Name
			if !token.IsExported(name) || slices.Contains(notAsked, name) {
				continue
			}
			all = append(all, claim{kindOf(file, name), name, firstOf(v.Comment.Text(), decl.Doc.Text())})
		}
	}
	return all
}

// firstOf is the first kernel, by the comment behind a constant or else by that of
// its block.
func firstOf(comment, doc string) (v version) {
	if m := afterComment.FindStringSubmatch(strings.TrimSpace(comment)); m != nil {
		return versionOf(m[1])
	}
	doc = strings.Join(strings.Fields(doc), " ")
	if m := endOfDoc.FindStringSubmatch(doc); m != nil {
		return versionOf(m[1])
	}
	return v
}

func (s *source) addCalls(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		c := &call{claim: claim{kind: kindCall, name: fn.Name.Name}, doc: fn.Doc.Text()}
		if m := ofCall.FindStringSubmatch(c.doc); m != nil {
			c.first = versionOf(m[1])
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				c.constants = append(c.constants, id.Name)
				c.calls = append(c.calls, id.Name)
			}
			return true
		})
		s.calls[c.name] = c
	}
}

// needs are the constants that a call names, and those that what it prepares
// names.
func (s *source) needs(name string) []claim {
	seen, found := map[string]bool{}, map[string]claim{}
	var walk func(name string)
	walk = func(name string) {
		c := s.calls[name]
		if c == nil || seen[name] {
			return
		}
		seen[name] = true
		for _, k := range s.constants {
			if slices.Contains(c.constants, k.name) {
				found[k.name] = k
			}
		}
		for _, other := range c.calls {
			if strings.HasPrefix(other, "Prep") || strings.HasPrefix(other, "Set") {
				walk(other)
			}
		}
	}
	walk(name)
	return slices.SortedFunc(maps.Values(found), func(a, b claim) int { return cmp.Compare(a.name, b.name) })
}

// newer are the calls that say that they need a newer kernel than the constants
// that they name: something else is new in them.
func (s *source) newer() (all []claim) {
	for _, name := range slices.Sorted(maps.Keys(s.calls)) {
		c := s.calls[name]
		if !token.IsExported(name) || c.first == (version{}) {
			continue
		}
		latest := version{5, 1}
		for _, k := range s.needs(name) {
			if k.first.compare(latest) > 0 {
				latest = k.first
			}
		}
		if c.first.compare(latest) > 0 {
			all = append(all, c.claim)
		}
	}
	return all
}

// covered are calls that are newer than their constants because what they are made
// for is: that is asked for.
var covered = map[string]string{
	"Add": "RegisterPbufRing", "Free": "RegisterPbufRing", "Available": "RegisterPbufStatus",
	"CloneBuffers": "RegisterCloneBuffers", "Cmd": "SetupSQE128", "ParseRecvmsg": "RecvMultishot",
	"EventFDEnabled": "CQEventFDDisabled", "ToggleEventFD": "CQEventFDDisabled",
	"LastOp": "RegisterProbe", "Supported": "RegisterProbe", "SetPersonality": "RegisterPersonality",
	"PrepCmdSock": "SocketOpGetsockopt", "PrepPollUpdate": "PollUpdateEvents",
	"RegisterBuffersSparse": "RsrcRegisterSparse", "RegisterFilesSparse": "RsrcRegisterSparse",
	"SetAddrLen": "PrepSendto", "SetDestination": "PrepSendto",
	"SubmitAndWaitTimeout": "FeatExtArg", "SubmitAndWaitWith": "FeatExtArg",
	"WaitTimeout": "FeatExtArg", "WaitWith": "FeatExtArg",
	"Futex": "", // of a struct that is older than the operation
}

// claims are all that a kernel can be asked for.
func (s *source) claims() []claim {
	all := slices.Clone(s.constants)
	if c := s.calls["CloneBuffersOffset"]; c != nil { // its offsets are as new as its flag, and are asked for apart
		all = append(all, c.claim)
	}
	for _, c := range s.newer() {
		if _, ok := covered[c.name]; !ok {
			all = append(all, c)
		}
	}
	return all
}
