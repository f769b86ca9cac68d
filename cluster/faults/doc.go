// Package faults has tests of package cluster with real processes: three NATS servers, and
// workers that use a bucket. The processes are killed, stopped and cut off, the servers' disks
// fill up, and the leaders change. It has no code but these tests.
//
//	go test -C cluster ./faults -long
//	go test -C cluster ./faults -v -run Random -duration 1h -timeout 0
//
// Without -long, only the tests run that take a few seconds. The random run prints how far it is.
package faults
