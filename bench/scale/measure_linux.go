package scale

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/vigil-go/vigil/bench/machines"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/server"
)

const (
	slowRate = 200
	value    = 64
)

// Measure measures the inputs on this machine.
func Measure(set Settings) (in Inputs, err error) {
	in = Inputs{Machine: measure.ThisMachine("").CPU, Cores: runtime.NumCPU(), Value: value, Rate: slowRate}
	in.Load, err = loadAverage()
	if err != nil {
		return in, err
	}
	for _, n := range set.Followers {
		r, event, err := measureRun(set, n)
		if err != nil {
			return in, err
		}
		in.Runs = append(in.Runs, r)
		in.Event = max(in.Event, event)
	}
	if in.SyncedAt, err = measureSynced(set); err != nil {
		return in, err
	}
	return in, in.measureKeys(set)
}

func loadAverage() (string, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("load average %s on %d processors before the measurement", strings.Fields(string(text))[0], runtime.NumCPU()), nil
}

// A group is a server and processes that follow its bucket. The first also writes.
type group struct {
	server  *machines.Server
	members []*machines.Member
}

func openGroup(n int, d machines.Durability) (*group, error) {
	s, err := machines.StartNATS(d)
	if err != nil {
		return nil, err
	}
	g := &group{server: s}
	for range n {
		m, err := machines.StartMember(machines.MemberArgs{Address: s.Address(), Bucket: "scale"})
		if err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.members = append(g.members, m)
		if _, err := m.Open(); err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	return g, nil
}

func (g *group) close() (err error) {
	for _, m := range g.members {
		err = errors.Join(err, m.Close())
	}
	return errors.Join(err, g.server.Close())
}

// measureRun returns the medians of a number of rounds, and the bytes of an event.
func measureRun(set Settings, n int) (r Run, event float64, err error) {
	g, err := openGroup(n, machines.Unsynced)
	if err != nil {
		return r, 0, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	var full, slow []Load
	var bytes []float64
	for range set.Rounds {
		a, size, err := g.load(set.Slice, 0)
		if err != nil {
			return r, 0, err
		}
		b, _, err := g.load(set.Slice, slowRate)
		if err != nil {
			return r, 0, err
		}
		full, slow, bytes = append(full, a), append(slow, b), append(bytes, size)
	}
	return Run{n, medianLoad(full), medianLoad(slow)}, measure.Median(bytes), nil
}

func medianLoad(all []Load) Load {
	of := func(f func(Load) float64) float64 {
		var vs []float64
		for _, l := range all {
			vs = append(vs, f(l))
		}
		return measure.Median(vs)
	}
	return Load{
		Writes: of(func(l Load) float64 { return l.Writes }),
		Server: of(func(l Load) float64 { return l.Server }), Writer: of(func(l Load) float64 { return l.Writer }),
		Follower: of(func(l Load) float64 { return l.Follower }), Busy: of(func(l Load) float64 { return l.Busy }),
		Median: of(func(l Load) float64 { return l.Median }), Late: of(func(l Load) float64 { return l.Late }),
	}
}

// load writes for a time.
func (g *group) load(d time.Duration, rate float64) (l Load, event float64, err error) {
	if _, err := g.arrivals(); err != nil { // those of before do not count
		return l, 0, err
	}
	before, err := g.times()
	if err != nil {
		return l, 0, err
	}
	w, err := g.members[0].Write(machines.Writes{For: d, Keys: 100_000, ValueBytes: value, Goroutines: Writers, Rate: rate})
	if err != nil {
		return l, 0, err
	}
	arrived, err := g.arrivals()
	if err != nil {
		return l, 0, err
	}
	after, err := g.times()
	if err != nil {
		return l, 0, err
	}
	took := func(i int) float64 { return float64(after.of[i]-before.of[i]) / 1e3 / float64(w.N) }
	l = Load{Writes: float64(w.N) / w.Took.Seconds(), Server: took(0), Writer: took(1)}
	ours := float64(after.of[0]+after.of[1]) - float64(before.of[0]+before.of[1])
	for i := 2; i < len(after.of); i++ {
		l.Follower += took(i) / float64(len(after.of)-2)
		ours += float64(after.of[i] - before.of[i])
	}
	l.Busy = max(0, (float64(after.busy-before.busy)-ours)/float64(after.at.Sub(before.at)))
	last := arrived[len(arrived)-1]
	l.Median, l.Late = last.Median, last.P99
	return l, float64(last.Bytes) / float64(last.Calls), nil
}

func (g *group) arrivals() (all []machines.Arrived, err error) {
	for _, m := range g.members {
		a, err := m.Arrivals()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// times are CPU times: of the server and the members, and of all that runs on this machine.
type times struct {
	at   time.Time
	of   []time.Duration
	busy time.Duration
}

func (g *group) times() (t times, err error) {
	t.at = time.Now()
	procs := []*server.Proc{{Proc: g.server.Proc}}
	for _, m := range g.members {
		procs = append(procs, &server.Proc{Proc: m.Proc})
	}
	for _, p := range procs {
		d, err := p.CPU()
		if err != nil {
			return t, err
		}
		t.of = append(t.of, d)
	}
	t.busy, err = busyTime()
	return t, err
}

// busyTime returns for how long the processors were busy, all together.
func busyTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	var user, nice, system, idle, iowait, irq, softirq, steal int64
	if _, err := fmt.Sscanf(string(text), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal); err != nil {
		return 0, fmt.Errorf("scale: /proc/stat: %w", err)
	}
	return time.Duration(user+nice+system+irq+softirq+steal) * (time.Second / 100), nil
}

// measureSynced returns the writes a second of a server that syncs each.
func measureSynced(set Settings) (_ float64, err error) {
	g, err := openGroup(1, machines.Synced)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	var all []float64
	for range set.Rounds {
		l, _, err := g.load(set.Slice, 0)
		if err != nil {
			return 0, err
		}
		all = append(all, l.Writes)
	}
	return measure.Median(all), nil
}

// measureKeys measures what keys and waits cost.
func (in *Inputs) measureKeys(set Settings) (err error) {
	g, err := openGroup(1, machines.Unsynced)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	const keyBytes = 16
	if _, err := g.members[0].Fill(machines.Fill{Keys: set.Keys, KeyBytes: keyBytes, ValueBytes: value, Goroutines: 256}); err != nil {
		return err
	}
	cost, err := g.members[0].Wait(machines.Waits{N: max(set.Keys/10, 1), Own: true})
	if err != nil {
		return err
	}
	m, err := machines.StartMember(machines.MemberArgs{Address: g.server.Address(), Bucket: "scale"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	o, err := m.Open()
	in.KeyBytes = measure.Growth(o.Before, o.After, set.Keys) - keyBytes - value
	in.KeysRead = float64(set.Keys) / (o.Open + o.NewMap).Seconds()
	in.Wait = cost.Bytes
	return err
}
