package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the module's.
var root = filepath.Join("..", "..", "..")

func ringSource(t *testing.T) *source {
	t.Helper()
	s, err := readSource(filepath.Join(root, "uringwake", "ring"))
	require.NoError(t, err)
	return s
}

// The page is what the records, package ring's comments and the tables here give:
// run ../run.sh -probe, or probe page, after a change.
func TestPageIsWhatIsRecorded(t *testing.T) {
	want, err := pageOf(root)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(root, "docs", "kernels.md"))
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// What a kernel does not know of these, package ring says to be unsupported. No
// call of its uses the last one on a kernel that lacks it.
func TestRecordedFailuresAreUnsupported(t *testing.T) {
	records, err := recorded(root)
	require.NoError(t, err)
	kinds := []string{"setup flag", "enter flag", "registration"}
	seen := 0
	for _, r := range records {
		for _, l := range r.lines {
			if slices.Contains(kinds, l.kind) && l.answer == no && l.how != notBuilt && l.name != "RegisterUseRegisteredRing" {
				require.True(t, strings.HasSuffix(l.how, ", unsupported"), "Linux %s: %s", r.version(), l)
				seen++
			}
		}
	}
	require.Positive(t, seen)
}

func TestContradictions(t *testing.T) {
	for _, test := range []struct {
		claim claim
		found finding
		wrong string
	}{
		{claim{"opcode", "OpNew", version{6, 12}}, finding{yes, ""}, ""},
		{claim{"opcode", "OpNew", version{6, 1}}, finding{no, "EINVAL"}, "OpNew: since Linux 6.1, its comment says; on 6.12 it is no (EINVAL)"},
		{claim{"opcode", "OpNew", version{6, 12}}, finding{no, "EINVAL"}, "OpNew: since Linux 6.12"},
		{claim{"opcode", "OpNew", version{6, 13}}, finding{yes, ""}, "OpNew: since Linux 6.13"},
		{claim{"opcode", "OpNew", version{6, 13}}, finding{no, "EINVAL"}, ""},
		{claim{"opcode", "OpNew", version{6, 1}}, finding{no, notBuilt}, ""},
		{claim{"opcode", "OpNew", version{6, 1}}, finding{no, "EOPNOTSUPP"}, "OpNew: since"},
		{claim{"opcode", "OpNew", version{6, 1}}, finding{unclear, "why"}, ""},
		{claim{"opcode", "OpNew", version{}}, finding{yes, ""}, "OpNew: no first kernel"},
		{claim{kindFlag, "PollAddLevel", version{}}, finding{no, "EINVAL"}, ""},
		{claim{kindFlag, "PollAddLevel", version{}}, finding{yes, ""}, "PollAddLevel: since"},
	} {
		r := &record{release: "6.12.3-x", lines: []line{{test.claim.kind, test.claim.name, test.found}}}
		p := &page{claims: []claim{test.claim}, records: []*record{r}}
		errs := p.contradictions()
		if test.wrong == "" {
			require.Empty(t, errs, "%v", test)
			continue
		}
		require.Len(t, errs, 1)
		require.ErrorContains(t, errs[0], test.wrong)
	}
}

func TestBackportedIsThereAndNotBefore(t *testing.T) {
	c := claim{kindFlag, "SendZCReportUsage", version{6, 2}}
	require.False(t, contradicts(c, version{6, 1}, finding{yes, ""}))
	require.True(t, contradicts(c, version{6, 1}, finding{no, "EINVAL"}))
	require.True(t, contradicts(c, version{6, 0}, finding{yes, ""}))
}

func TestWhatIsNotAskedForIsWrong(t *testing.T) {
	r := &record{release: "6.1"}
	p := &page{claims: []claim{{"opcode", "OpNew", version{6, 1}}}, records: []*record{r}}
	require.ErrorContains(t, p.contradictions()[0], "not asked for on Linux 6.1")
	p = &page{uses: []claim{{"opcode", "OpNew", version{6, 1}}}}
	require.ErrorContains(t, p.contradictions()[0], "is not said")
	r.lines = []line{{kindFace, "Read", finding{unclear, "context deadline exceeded"}}}
	p = &page{records: []*record{r}}
	require.ErrorContains(t, p.contradictions()[0], "uringwake.Read on Linux 6.1")
}

// A record is found in all that a machine says, which ends its lines otherwise.
func TestRecordIsReadAsItWasWritten(t *testing.T) {
	r := &record{release: "6.12.1-x", date: "2026-01-02", lines: []line{
		{"opcode", "OpNop", finding{yes, ""}}, {"opcode", "OpPipe", finding{no, "EINVAL"}},
	}}
	text := "opcode\tOpEarly\tyes\t\n== kernel\n" + r.String() + "== end\n"
	require.Equal(t, []*record{r}, read(strings.ReplaceAll(text, "\n", "\r\n")))
	require.Equal(t, version{6, 12}, r.version())
}

func TestVersionsAreInOrder(t *testing.T) {
	require.Negative(t, version{5, 19}.compare(version{6, 0}))
	require.Negative(t, version{6, 2}.compare(version{6, 12}))
	require.Zero(t, version{6, 2}.compare(versionOf("6.2.0-x")))
}

func TestFirstKernelOfAComment(t *testing.T) {
	for _, test := range []struct {
		comment, doc string
		want         version
	}{
		{"5.1", "", version{5, 1}},
		{"waits; 6.12", "About 5.1.", version{6, 12}},
		{"waits; 6.2; updates of 6.1", "", version{6, 2}},
		{"takes 5.1 of them", "", version{}},
		{"", "IORING_X; 5.10.", version{5, 10}},
		{"", "IORING_X, of 5.10 and others.", version{}},
	} {
		require.Equal(t, test.want, firstOf(test.comment, test.doc), test.comment+test.doc)
	}
}

// The tables name what there is.
func TestTablesNameWhatThereIs(t *testing.T) {
	s := ringSource(t)
	known := map[string]version{}
	for _, c := range s.claims() {
		known[c.name] = c.first
	}
	uses, err := s.uses(filepath.Join(root, "uringwake"))
	require.NoError(t, err)
	for name := range without {
		require.True(t, slices.ContainsFunc(uses, func(c claim) bool { return c.name == name }), "%s is not used", name)
	}
	for name := range withdrawn {
		require.Contains(t, known, name)
	}
	for name := range backported {
		require.Contains(t, known, name)
	}
	for _, name := range notAsked {
		require.NotContains(t, known, name)
	}
	for name, by := range covered {
		require.Contains(t, s.calls, name)
		if by != "" {
			require.Equal(t, known[by], s.calls[name].first, "%s is as new as %s", name, by)
		}
	}
}

// What uringwake uses is found through what prepares it.
func TestUsesAreFound(t *testing.T) {
	uses, err := ringSource(t).uses(filepath.Join(root, "uringwake"))
	require.NoError(t, err)
	for _, name := range []string{"OpFutexWait", "OpMsgRing", "PollAddMulti", "RegisterSendMsgRing", "SetupDeferTaskrun", "OpRead"} {
		require.True(t, slices.ContainsFunc(uses, func(c claim) bool { return c.name == name }), name)
	}
	require.False(t, slices.ContainsFunc(uses, func(c claim) bool { return c.name == "OpEpollWait" }))
}

// A call needs no older kernel than the opcodes and registrations that it names.
func TestNoCallIsOlderThanItsOpcode(t *testing.T) {
	s := ringSource(t)
	seen := 0
	for name, c := range s.calls {
		for _, k := range s.constants {
			if (k.kind == "opcode" || k.kind == "registration") && c.first != (version{}) && slices.Contains(c.constants, k.name) {
				require.GreaterOrEqual(t, c.first.compare(k.first), 0, "%s: Linux %s, and %s: %s", name, c.first, k.name, k.first)
				seen++
			}
		}
	}
	require.Greater(t, seen, 60)
}
