package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// floor is the first kernel that uringwake runs on, as Supported says.
var floor = version{5, 13}

// without is what uringwake does on a kernel that has not got what it uses.
var without = map[string]string{
	"OpMsgRing":           "an eventfd; `NewMsgRing` returns an error",
	"MsgData":             "an eventfd; `NewMsgRing` returns an error",
	"SetupSubmitAll":      "an entry that is refused ends the call; the rest is submitted by the next one",
	"SetupCoopTaskrun":    "a plain ring: the kernel interrupts the loop's thread",
	"SetupTaskrunFlag":    "a plain ring, which holds no completion back",
	"SQTaskrun":           "a plain ring, which holds no completion back",
	"SetupSingleIssuer":   "`SetupCoopTaskrun`",
	"SetupDeferTaskrun":   "`SetupCoopTaskrun`",
	"SetupNoSQArray":      "the queue has an array of indexes",
	"FeatCQESkip":         "a loop whose doorbell's poll is refused looks every millisecond",
	"RegisterSyncCancel":  "where `OpAsyncCancel` is refused too, what may wait under a context that can end fails",
	"OpFutexWait":         "`HaveFutex` and `FutexWait` return an error",
	"OpFutexWake":         "futex(2)",
	"OpMkdirat":           "a task has a goroutine make the system call",
	"OpLinkat":            "a task has a goroutine make the system call",
	"OpSymlinkat":         "a task has a goroutine make the system call",
	"OpSocket":            "a task has a goroutine make the system call",
	"OpFtruncate":         "a task has a goroutine make the system call",
	"OpBind":              "a task has a goroutine make the system call",
	"OpListen":            "a task has a goroutine make the system call",
	"RecvMultishot":       "there are no provided buffers: each receive is an operation",
	"AcceptMultishot":     "`AcceptAll` submits an operation for each connection",
	"TimeoutMultishot":    "`Ticks` submits a timeout for each",
	"OpSendZC":            "`SendZCOp` fails",
	"RecvSendFixedBuf":    "`SendZCOp` fails",
	"CQENotif":            "`SendZCOp` fails",
	"SendZCReportUsage":   "`SendZCOp` fails",
	"NotifUsageZCCopied":  "`SendZCOp` fails",
	"RegisterSendMsgRing": "a goroutine wakes a loop by an eventfd; `MsgRing.Wake` sends by the goroutines' ring",
}

const withoutFloor = "nothing works: `Supported` says why"

// withdrawn is what no release has, by the kernel's history, though headers do.
var withdrawn = map[string]string{"PollAddLevel": "taken back before 6.0 was out"}

// backported is what updates of an older version have, by their source.
var backported = map[string]version{"SendZCReportUsage": {6, 1}, "NotifUsageZCCopied": {6, 1}}

// uses are the claims that package uringwake in dir relies on, oldest first.
func (s *source) uses(dir string) ([]claim, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_linux.go"))
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				named[sel.Sel.Name] = true
			}
			return true
		})
	}
	var used []claim
	for name := range named {
		used = append(used, s.claimsOf(name)...)
	}
	slices.SortFunc(used, func(a, b claim) int {
		return cmp.Or(a.first.compare(b.first), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(used), nil
}

// claimsOf are the constant of that name, and those that the call needs.
func (s *source) claimsOf(name string) (all []claim) {
	if i := slices.IndexFunc(s.constants, func(c claim) bool { return c.name == name }); i >= 0 {
		all = append(all, s.constants[i])
	}
	for _, prefix := range []string{"Prep", "Register", "SendMsgRing", "SyncCancel", "ToggleEventFD", "Overflown", "TaskRun", "More"} {
		if strings.HasPrefix(name, prefix) {
			return append(all, s.needs(name)...)
		}
	}
	return all
}
