package rows

import (
	"fmt"
	"time"

	"github.com/vigil-go/vigil/bench/machines"
	"github.com/vigil-go/vigil/bench/measure"
)

const clusterKeyBytes = 16

// filledBucket returns a server whose bucket has keys, and the time that storing them took.
func filledBucket(keys, valueBytes int) (*machines.Server, time.Duration) {
	server, err := machines.StartNATS(machines.Unsynced)
	mustNot(err)
	writer := member(server)
	_, err = writer.Open()
	mustNot(err)
	took, err := writer.Fill(machines.Fill{Keys: keys, KeyBytes: clusterKeyBytes, ValueBytes: valueBytes, Goroutines: 256})
	mustNot(err)
	mustNot(writer.Close())
	return server, took
}

// opened returns what it took a new process to open the bucket.
func opened(server *machines.Server, keys int) machines.Opened {
	m := member(server)
	o, err := m.Open()
	mustNot(err)
	mustNot(m.Close())
	if o.Keys != keys {
		panic(fmt.Sprintf("rows: the Map has %d keys of %d", o.Keys, keys))
	}
	return o
}

func bytesJob(set *Settings, valueBytes int) Job {
	keys := set.scaled(100_000, 1000)
	const unit, what = "bytes/key", "vigil Map[string]"
	cell := Cell{Name: fmt.Sprintf("bytes/%s/%d B", short(keys), valueBytes), Unit: unit, Procs: set.headline()}
	return Job{Cell: cell, run: func() ([]measure.Series, []string) {
		server, _ := filledBucket(keys, valueBytes)
		defer func() { mustNot(server.Close()) }()
		results := scores{}
		for range min(set.Rounds, 3) {
			o := opened(server, keys)
			results.add(unit, what, measure.Growth(o.Before, o.After, keys)-float64(clusterKeyBytes+valueBytes))
			results.add(unit, "before NewMap", measure.Growth(o.Before, o.Raw, keys)-float64(clusterKeyBytes+valueBytes))
		}
		series := results[unit]
		return series, []string{goal("bytes for each key", find(series, what).Median(), 400)}
	}}
}

const (
	futuresOwn = "Future, a key each"
	futuresOne = "Future, one key"
	parkedOne  = "in Wait, one key"
)

var waitKinds = map[string]machines.Waits{futuresOwn: {Own: true}, futuresOne: {}, parkedOne: {Parked: true}}

// measureWaits calls add with what n waits of each of the kinds cost.
func measureWaits(set *Settings, n int, kinds []string, add func(kind string, cost machines.Waiting, wake time.Duration)) {
	all, c := members(1, machines.Unsynced)
	defer c.close()
	for range set.Rounds {
		for _, kind := range kinds {
			w := waitKinds[kind]
			w.N = n
			cost, err := all[0].Wait(w)
			mustNot(err)
			took, err := all[0].Release()
			mustNot(err)
			add(kind, cost, took)
		}
	}
}

func waitsJob(set *Settings) Job {
	n := set.scaled(10_000, 100)
	return Job{Cell: Cell{Name: "waits/" + short(n), Unit: "bytes/wait", Procs: set.headline()}, run: func() ([]measure.Series, []string) {
		results := scores{}
		measureWaits(set, n, []string{futuresOwn, futuresOne, parkedOne}, func(kind string, cost machines.Waiting, _ time.Duration) {
			results.add("bytes", kind, cost.Bytes)
			results.add("goroutines", kind, cost.Goroutines)
		})
		var notes []string
		for _, s := range results["goroutines"] {
			notes = append(notes, goal("goroutines started for a wait, "+s.Name, s.Median(), 0))
		}
		return results["bytes"], notes
	}}
}

func wakeJob(set *Settings) Job {
	n := set.scaled(10_000, 100)
	const unit = "ms"
	return Job{Cell: Cell{Name: "wake/" + short(n), Unit: unit, Procs: set.headline()}, run: func() ([]measure.Series, []string) {
		results := scores{}
		measureWaits(set, n, []string{futuresOne, parkedOne}, func(kind string, _ machines.Waiting, wake time.Duration) {
			results.add(unit, kind, wake.Seconds()*1e3)
		})
		return results[unit], nil
	}}
}

func startJob(set *Settings, keys int) Job {
	const unit = "seconds"
	return Job{Cell: Cell{Name: "start/" + short(keys), Unit: unit, Procs: set.headline()}, run: func() ([]measure.Series, []string) {
		server, fill := filledBucket(keys, 16)
		defer func() { mustNot(server.Close()) }()
		results := scores{}
		var o machines.Opened
		for range min(set.Rounds, 3) {
			o = opened(server, keys)
			results.add(unit, "Open", o.Open.Seconds())
			results.add(unit, "NewMap", o.NewMap.Seconds())
		}
		const mega = 1e6
		return results[unit], []string{
			fmt.Sprintf("live heap %.3g MB after Open, %.3g MB after NewMap; %.3g MB taken from the system", float64(o.Raw)/mega, float64(o.After)/mega, float64(o.Taken)/mega),
			fmt.Sprintf("256 goroutines of one process had stored the keys at %.3g writes/s, not synced", float64(keys)/fill.Seconds()),
		}
	}}
}
