// Package faults has tests of package cluster with real processes: three NATS servers, and
// workers that use a bucket. The processes are killed, stopped and cut off, the servers' disks
// fill up, and the leaders change. It has no code but these tests.
//
//	go test -C cluster ./faults -long
//	go test -C cluster ./faults -run Random -duration 1h
//
// Without -long, only the tests run that take a few seconds.
package faults
