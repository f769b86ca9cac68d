// Package scale computes how far one bucket of package cluster goes: it measures what writes
// and events cost on this machine, and simulates more machines than there are.
package scale

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Settings are how long is measured.
type Settings struct {
	Slice     time.Duration // of each load
	Rounds    int
	Followers []int // in each run; there must be runs with 1 and 8
	Keys      int   // for what depends on their number
}

// Writers is the number of goroutines that write.
const Writers = 32

// Inputs are what was measured.
type Inputs struct {
	Machine  string // what it was measured on
	Cores    int    // that it has
	Load     string // what else ran there
	Value    int    // bytes of a value
	Rate     float64
	Event    float64 // bytes of an event on its way to a process, its value included
	SyncedAt float64 // writes a second of a server that syncs each, by many writers
	KeyBytes float64 // memory of a key in a process that follows, apart from key and value
	Wait     float64 // bytes of memory of a wait
	KeysRead float64 // keys a second that a process reads when it opens a bucket
	Runs     []Run
}

// A Run is a measurement with a number of processes that follow the bucket. One of them writes.
type Run struct {
	Followers int
	Full      Load // Writers goroutines write as fast as they can
	Slow      Load // they write Rate values a second
}

// A Load is what was measured under a load of writes.
type Load struct {
	Writes float64 // a second
	// CPU time for a write, in microseconds: of the server, of the process that writes and
	// follows, and of each that only follows (zero if there is none).
	Server, Writer, Follower float64
	// Busy is the number of processors that other programs have used meanwhile.
	Busy float64
	// Time from the call of Store until a process has the value, in microseconds.
	Median, Late float64
}

// Read reads inputs from a file.
func Read(file string) (in Inputs, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return in, err
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return in, err
	}
	_, err = in.Costs()
	return in, err
}

// Write writes inputs to a file.
func (in Inputs) Write(file string) error {
	data, err := json.MarshalIndent(in, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// Costs are those of a write, in seconds of CPU time if nothing else is said.
type Costs struct {
	Writer  float64 // in the process that writes
	Write   float64 // in the server
	Deliver float64 // in the server, for each follower
	Follow  float64 // in each follower
	Hop     float64 // time from one process to the next that is not CPU time
	Sync    float64 // time of a write on the disk
	Event   float64 // bytes of an event
}

// fewest and most are the numbers of followers in the runs from which the costs are. The other runs
// can be compared with what the simulation says.
const fewest, most = 1, 8

// run returns the run with so many followers.
func (in Inputs) run(followers int) (r Run, err error) {
	for _, r := range in.Runs {
		if r.Followers == followers {
			return r, nil
		}
	}
	return r, fmt.Errorf("scale: no run with %d followers", followers)
}

// Costs returns what the runs say.
func (in Inputs) Costs() (c Costs, err error) {
	few, err := in.run(fewest)
	if err != nil {
		return c, err
	}
	many, err := in.run(most)
	if err != nil {
		return c, err
	}
	const micro = 1e-6
	c.Deliver = max(many.Full.Server-few.Full.Server, 0) * micro / (most - fewest)
	c.Write = max(few.Full.Server*micro-fewest*c.Deliver, 0)
	c.Follow = many.Full.Follower * micro
	c.Writer = max((few.Full.Writer+many.Full.Writer)*micro/2-c.Follow, 0)
	c.Hop = max(few.Slow.Median*micro-c.Writer-c.Write-c.Deliver-c.Follow, 0) / 2
	c.Sync, c.Event = 1/in.SyncedAt, in.Event
	return c, nil
}

// SlowDeliver is Deliver at Rate writes a second, when each event has to wake somebody. Then it does
// not matter, because the processors are idle.
func (in Inputs) SlowDeliver() float64 {
	few, _ := in.run(fewest)
	many, _ := in.run(most)
	return max(many.Slow.Server-few.Slow.Server, 0) / (most - fewest) / 1e6
}

// slower returns the costs on processors that other programs use, too.
func (c Costs) slower(times float64) Costs {
	c.Writer, c.Write, c.Deliver, c.Follow = c.Writer*times, c.Write*times, c.Deliver*times, c.Follow*times
	return c
}

// A Check compares the simulation with a run on this machine, where all processes share its
// processors.
type Check struct {
	Run
	Full, Slow Result // as simulated
}

// Checks compares all runs.
func (in Inputs) Checks(c Costs) (all []Check) {
	p := Place{Cores: in.Cores, Shared: true, Hop: c.Hop}
	for _, r := range in.Runs {
		cores := float64(in.Cores)
		busy := c.slower(cores / max(cores-r.Full.Busy, cores/10))
		all = append(all, Check{
			Run:  r,
			Full: Simulate(busy, p, r.Followers, Drive{Writers: Writers}, 0.5),
			Slow: Simulate(c, p, r.Followers, Drive{Rate: in.Rate}, 5),
		})
	}
	return all
}
