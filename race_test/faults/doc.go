// Package faults tests rings and their processes under faults of the machine. The
// tests refuse system calls, exhaust descriptors and memory, send signals by the
// thousand, stop and kill processes, and close rings while wakers use them. They count
// wakes on both sides and look for resources that are left open. The package has tests
// only, for Linux.
//
//	go test ./race_test/faults -v
//
// logs the number of wakes under each fault. If a wake is lost, a test waits for it
// until -timeout, and the stacks then show what waits.
//
// How a single call behaves when the kernel refuses it is tested in package uringwake.
package faults
