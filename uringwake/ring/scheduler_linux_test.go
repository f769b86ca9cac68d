package ring_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// A pager fills memory in when it is touched for the first time: userfaultfd.
type pager struct {
	fd   int
	page []byte
}

// Requests of userfaultfd, and their arguments.
const (
	uffdAPI      = 0xc018aa3f
	uffdRegister = 0xc020aa00
	uffdCopy     = 0xc028aa03
)

func newPager(t *testing.T) *pager {
	t.Helper()
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if e != 0 {
		t.Skip("userfaultfd:", e)
	}
	p := &pager{fd: closed(t, int(fd))}
	var err error
	p.page, err = unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(p.page)) })
	api := [3]uint64{0xaa}
	require.NoError(t, p.ioctl(uffdAPI, unsafe.Pointer(&api)))
	const missing = 1
	register := [4]uint64{p.addr(), uint64(len(p.page)), missing}
	require.NoError(t, p.ioctl(uffdRegister, unsafe.Pointer(&register)))
	return p
}

func (p *pager) addr() uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p.page)))) }

func (p *pager) ioctl(request uintptr, arg unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), request, uintptr(arg)); e != 0 {
		return e
	}
	return nil
}

// serve waits for the page to be touched, calls f, and fills the page in.
func (p *pager) serve(f func() error) error {
	event := make([]byte, 32)
	if _, err := unix.Read(p.fd, event); err != nil {
		return err
	}
	why := f()
	content := make([]byte, len(p.page))
	content[0] = 'x'
	fill := [5]uint64{p.addr(), uint64(uintptr(unsafe.Pointer(&content[0]))), uint64(len(content))}
	if err := p.ioctl(uffdCopy, unsafe.Pointer(&fill)); err != nil {
		return err
	}
	runtime.KeepAlive(content)
	return why
}

// Hazard: an operand that this process must page in holds up the collector, for
// which the pager waits. The scheduler knows of a thread that is in the kernel.
func TestSubmissionsTellTheScheduler(t *testing.T) {
	for name, submit := range map[string]func(q *ring.SubmissionQueue) (int, error){
		"Submit":             (*ring.SubmissionQueue).Submit,
		"SubmitAndGetEvents": (*ring.SubmissionQueue).SubmitAndGetEvents,
		"SubmitAndWait":      func(q *ring.SubmissionQueue) (int, error) { return q.SubmitAndWait(1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPager(t)
			g := newRig(t, nil)
			r, w := socketPair(t, unix.SOCK_STREAM) // to a pipe some kernels have a worker write
			done := make(chan error, 1)
			go func() { done <- p.serve(collect) }()
			g.prep(func(s *ring.SQE) { s.PrepWrite(w, p.page[:1], 0) })
			_, err := submit(g.r.SQ())
			require.NoError(t, err)
			require.NoError(t, <-done)
			require.EqualValues(t, 1, g.wait().Res)
			got := make([]byte, 1)
			_, err = unix.Read(r, got)
			require.NoError(t, err)
			require.Equal(t, "x", string(got))
		})
	}
}

// collect collects garbage, unless a thread that cannot be stopped is in the
// kernel: then it would never end.
func collect() error {
	s := []metrics.Sample{{Name: "/sched/goroutines/not-in-go:goroutines"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 || s[0].Value.Uint64() == 0 {
		return fmt.Errorf("the scheduler knows of no thread in the kernel")
	}
	runtime.GC()
	return nil
}

// All system calls tell the scheduler.
func TestNoRawSystemCalls(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			found = append(found, rawCalls(t, name)...)
		}
	}
	require.Empty(t, found)
}

// rawCalls lists the functions of a file that make raw system calls.
func rawCalls(t *testing.T, file string) (found []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "RawSyscall") {
				found = append(found, fn.Name.Name+" calls "+s.Sel.Name)
			}
			return true
		})
	}
	return found
}
