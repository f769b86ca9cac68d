// Package faults does to rings and their processes what a machine may do: it
// refuses system calls, runs out of descriptors and memory, sends signals by
// the thousand, stops a process and kills it, and closes rings under those who
// wake into them. Wakes are counted on both sides, and what is left open is
// looked for. It has tests only, for Linux.
//
//	go test ./race_test/faults -v
//
// logs how many wakes each fault has seen. A wake that is lost is waited for
// until -timeout: the stacks then tell who waits.
//
// What a single call does when the kernel refuses it is tested in package
// uringwake.
package faults
