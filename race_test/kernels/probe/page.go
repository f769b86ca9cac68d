package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A page is what docs/kernels.md is made of.
type page struct {
	claims  []claim
	uses    []claim
	records []*record
	b       strings.Builder
}

// pageOf makes the page of what is recorded in the module's root, or says which
// claims that contradicts.
func pageOf(root string) (string, error) {
	s, err := readSource(filepath.Join(root, "uringwake", "ring"))
	if err != nil {
		return "", err
	}
	p := &page{claims: s.claims()}
	if p.uses, err = s.uses(filepath.Join(root, "uringwake")); err != nil {
		return "", err
	}
	if p.records, err = recorded(root); err != nil {
		return "", err
	}
	if err := errors.Join(p.contradictions()...); err != nil {
		return "", err
	}
	p.write()
	return p.b.String(), nil
}

// contradictions are where a record says otherwise than a claim, or nothing.
func (p *page) contradictions() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, c := range p.claims {
		if c.first == (version{}) && withdrawn[c.name] == "" {
			wrong("%s: no first kernel in its comment", c.name)
		}
		for _, r := range p.records {
			if f, ok := r.find(c.kind, c.name); !ok {
				wrong("%s: not asked for on Linux %s: run the probes again", c.name, r.version())
			} else if contradicts(c, r.version(), f) {
				wrong("%s: since Linux %s, its comment says; on %s it is %s (%s)", c.name, c.first, r.version(), f.answer, f.how)
			}
		}
	}
	for _, c := range p.uses {
		if c.first.compare(floor) > 0 && without[c.name] == "" {
			wrong("%s: uringwake uses it, and what it does without is not said", c.name)
		}
	}
	return append(errs, p.hangs()...)
}

// contradicts reports that a claim and what was found do not fit. A kernel may be
// built without what its version has.
func contradicts(c claim, v version, f finding) bool {
	has := c.first.compare(v) <= 0 || backported[c.name] == v
	if withdrawn[c.name] != "" {
		return f.answer == yes
	}
	return f.answer == no && has && f.how != notBuilt || f.answer == yes && !has
}

// hangs are what of uringwake's was neither done nor said to be unsupported.
func (p *page) hangs() (errs []error) {
	for _, r := range p.records {
		for _, l := range r.lines {
			if l.kind == kindFace && l.answer == unclear {
				errs = append(errs, fmt.Errorf("uringwake.%s on Linux %s: %s", l.name, r.version(), l.how))
			}
		}
	}
	return errs
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

const introduction = `# What kernels have

Written by ` + "`race_test/kernels/run.sh -probe`" + `. It asks each kernel of the first table for every opcode, flag and
registration of package ` + "`uringwake/ring`" + `, mostly by using it. The newest is the kernel that the command ran on; the others
boot in emulated machines. *First* is the first kernel that the package's comments name, as read in the kernel's history.
The columns behind it are what was seen; the command fails if one contradicts *first*. **?** means that the answer cannot
be had on that kernel, and the last column says why.

`

func (p *page) write() {
	p.printf("%s", introduction)
	p.table([]string{"column", "kernel", "asked on"})
	for _, r := range p.records {
		p.row(r.version().String(), "`"+r.release+"`", r.date)
	}
	p.writeUses()
	p.writeFace()
	p.printf("\n## All of package ring\n\n%s", allOfRing)
	for _, kind := range slices.Compact(p.kinds()) {
		p.printf("\n### %s\n\n%s", titles[kind].title, titles[kind].about)
		p.table(p.columns("name", "first"))
		for _, c := range p.claims {
			if c.kind == kind {
				p.row(p.claimRow(c)...)
			}
		}
	}
}

const allOfRing = `What uringwake does not use is *ring only*; behind it stands what a caller of package ring gets. *Unsupported* is an error
that matches ` + "`errors.ErrUnsupported`" + `. A completion has an errno alone, and EINVAL may also mean a wrong argument, so
ask ` + "`ring.GetProbe`, `Ring.Features` or `ring.Query`" + ` first.
`

func (p *page) kinds() (all []string) {
	for _, c := range p.claims {
		all = append(all, c.kind)
	}
	return all
}

// titles are the sections' heads.
var titles = map[string]struct{ title, about string }{
	"setup flag":      {"Setup flags", ""},
	"feature":         {"Features", "Bits that the kernel answers.\n\n"},
	"enter flag":      {"Enter flags", ""},
	"entry flag":      {"Flags of entries", ""},
	"completion flag": {"Flags of completions", ""},
	"shared flag":     {"Flags in shared memory", ""},
	"opcode":          {"Opcodes", ""},
	"registration":    {"Registrations", ""},
	kindFlag:          {"Flags and commands of operations and registrations", ""},
	kindCall:          {"Calls", "Calls that need a newer kernel than the names above that they use.\n\n"},
}

// writeUses is the short table: what a program sees of an older kernel.
func (p *page) writeUses() {
	p.printf("\n## What uringwake uses\n\nIt needs Linux %s. What it uses of older kernels is not listed here.\n\n", floor)
	p.table(p.columns("name", "first"))
	var last []string
	flush := func() {
		if last != nil {
			p.row(last...)
		}
	}
	for _, c := range p.uses {
		if c.first.compare(floor) < 0 {
			continue
		}
		row := p.claimRow(c)
		if last != nil && slices.Equal(last[1:], row[1:]) {
			last[0] += ", " + row[0]
			continue
		}
		flush()
		last = row
	}
	flush()
}

func (p *page) writeFace() {
	p.printf("\n## What uringwake offers\n\nEach call was made in a goroutine and in a task. *yes* means that it did what it is for, if need be as the table above\nsays; *no* means an error that matches `errors.ErrUnsupported`.\n\n")
	heads := p.columns("call")
	heads[len(heads)-1] = "the error"
	p.table(heads)
	newest := p.records[len(p.records)-1]
	for _, l := range newest.lines {
		if l.kind == kindFace {
			cells, how := p.answers(l.kind, l.name)
			p.row(append(append([]string{"`" + l.name + "`"}, cells...), strings.TrimPrefix(how, "uringwake: "))...)
		}
	}
}

// columns are the heads of a table of answers.
func (p *page) columns(first ...string) []string {
	for _, r := range p.records {
		first = append(first, r.version().String())
	}
	return append(first, "without it")
}

// claimRow is a claim, the answers, and what is done where there is none.
func (p *page) claimRow(c claim) []string {
	cells, how := p.answers(c.kind, c.name)
	first := c.first.String()
	if withdrawn[c.name] != "" {
		first = "none"
	}
	return append(append([]string{"`" + c.name + "`", first}, cells...), p.instead(c, how))
}

// answers are those of all kernels, and what the newest said that was not yes.
func (p *page) answers(kind, name string) (cells []string, how string) {
	for _, r := range p.records {
		f, _ := r.find(kind, name)
		cells = append(cells, string(f.answer))
		if f.answer != yes {
			how = f.how
		}
	}
	return cells, how
}

func (p *page) instead(c claim, how string) string {
	switch {
	case withdrawn[c.name] != "":
		return "ring only: " + withdrawn[c.name] + ", " + how
	case backported[c.name] != version{}:
		return "ring only; updates of " + backported[c.name].String() + " have it"
	case without[c.name] != "":
		return without[c.name]
	case slices.Contains(p.uses, c):
		return withoutFloor
	case how != "":
		return "ring only: " + how
	}
	return "ring only"
}

func (p *page) table(columns []string) {
	p.row(columns...)
	p.b.WriteString("|" + strings.Repeat("---|", len(columns)) + "\n")
}

func (p *page) row(cells ...string) { p.b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
