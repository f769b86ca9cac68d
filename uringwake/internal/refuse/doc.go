// Package refuse runs a test on a kernel that refuses io_uring, or parts of it.
// It is for tests.
//
//	func TestFallsBack(t *testing.T) {
//		if !refuse.Child(t, refuse.NoRing(unix.EPERM)) {
//			return // the parent: the child's result is this test's
//		}
//		... // the child: io_uring_setup fails with EPERM on every thread
//	}
//
// Nothing is mocked: the test runs again in a process of its own, where seccomp
// filters, limits, another user or the sysctl make the real kernel refuse. No
// other process notices, but for [Sysctl].
//
// # Concurrency
//
// A test that runs in parallel with others may call [Child]. In the child it is
// alone, and the rules hold for all threads, those that were there before too.
//
// Rules that have to look at memory ([NoSetupFlags], [NoOpcodes],
// [HideOpcodes]) are decided by a goroutine of the child, which ends with the
// test. While it decides, the caller is in a system call that must not hold up
// the Go scheduler: setups and probes are to use Syscall, not RawSyscall. A
// check for leaked goroutines within the test itself sees that goroutine, as
// (*supervisor).serve; one in TestMain does not. Processes that the child
// starts get ENOSYS for such calls.
//
// It works on Linux for amd64, arm64 and riscv64; elsewhere in Linux Child
// skips the test if a rule needs a filter.
package refuse
