// Command clusterdemo shows what package cluster does while machines fail.
//
//	go run -C cluster ./cmd/clusterdemo
//
// starts three NATS servers and three workers, each a process of its own. The workers ask for
// keys, some more often than others, and share what they have loaded. Then one worker is killed
// during a load, the server that leads the bucket is killed, and another worker is cut off for a while.
// A table shows what each worker does meanwhile. At the end there are totals, and a plot.
//
// # Where to look
//
// worker.go is what this example is about: how a worker answers a request by a cluster.Map, which
// has the pages that were loaded, and a cluster.Group, which lets one machine load. ledger.go
// checks from outside that no load was one too many. schedule.go says what fails when; counts.go
// counts what a worker does, and table.go and plot.go show it. A cluster.Cache does what the Map and
// the Group do here together; a worker that uses these two sees each step, and so can tell the ledger.
//
// # What is checked
//
// Each load has a fence. The ledger is told of each load when it begins and when it ends. A load is a
// duplicate if there was one of the same key with the same fence, or if it began while the page
// of another load was valid that had been stored before this one got its lease. Revisions decide
// that, not clocks, but for the end of a page.
//
// All processes talk over the loopback interface, through relays that can be cut. No special
// rights are needed, and nothing is left behind.
package main

import (
	"github.com/vigil-go/vigil/cluster/internal/lab"
	"github.com/vigil-go/vigil/internal/cli"
)

func main() {
	lab.Register(workerFunction, work)
	lab.Main()
	program.Main()
}

var program = cli.Program[*config]{Name: "clusterdemo", Help: help, Parse: parse, Work: demonstrate}
