package rows

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vigil-go/vigil/bench/machines"
	"github.com/vigil-go/vigil/bench/measure"
)

func clusterRow() Row {
	return Row{
		Name:  "cluster",
		Title: "Several machines",
		About: "Package cluster among processes of one machine, over its loopback interface. Servers are processes, too. answer: one " +
			"process stores a key, a second one that waits for it stores another key, for which the first one waits; both ways " +
			"together. With \"synced\" the server has synced each of the two writes to its disk before it acknowledges it. The KV " +
			"watch is what the engine can do: a push consumer for one key, by nats.go, with the same settings. Redis is asked every 10 ms, by both. " +
			"loads: three processes with 64 goroutines each want keys as 1/k^1.1, and a load takes 20 ms. bytes: live heap of a process " +
			"that follows a bucket, for each key, less the bytes of key and value. waits: 10,000 waits in one process; wake is from " +
			"the call of Store until all waiters have run. start: a process opens a bucket, and makes its Map.",
		jobs: func(set *Settings) []Job {
			jobs := contestJobs(set, answerFigures, []contest{answers(set, machines.Synced), answers(set, machines.Unsynced)})
			for i := range jobs {
				jobs[i].Cell.Base = string(machines.Watch)
			}
			jobs = append(jobs, loadsJob(set), bytesJob(set, 16), bytesJob(set, 256), waitsJob(set), wakeJob(set))
			return append(jobs, startJob(set, set.scaled(100_000, 1000)), startJob(set, set.scaled(1_000_000, 2000)))
		},
	}
}

var answerFigures = []figure{{"answer/" + medianFigure, "us"}, {"answer/" + tailFigure, "us"}}

func answers(set *Settings, d machines.Durability) contest {
	return contest{
		name:    map[machines.Durability]string{machines.Synced: "synced", machines.Unsynced: "unsynced"}[d],
		measure: func() (scores, []string) { return measureAnswers(set, d) },
		aims: func(figure string, series []measure.Series) []string {
			if figure != answerFigures[0].name {
				return nil
			}
			return []string{aim{string(machines.Vigil), string(machines.Watch), 1.3}.note(set.headline(), series)}
		},
	}
}

// A conversation is a server and two processes that talk by it.
type conversation struct {
	way         machines.Way
	asks, hears *machines.Talker
	closers
}

// Closers are closed in the opposite order.
type closers []func() error

func (c closers) close() {
	for i := range c {
		mustNot(c[len(c)-1-i]())
	}
}

// conversations are the ways in which servers of that durability are used.
func conversations(d machines.Durability) map[machines.Way]func() (*machines.Server, error) {
	nats := func() (*machines.Server, error) { return machines.StartNATS(d) }
	all := map[machines.Way]func() (*machines.Server, error){
		machines.Vigil: nats, machines.Watch: nats, machines.Request: nats,
		machines.Redis: func() (*machines.Server, error) { return machines.StartRedis(d) },
	}
	if d == machines.Synced {
		all[machines.Etcd] = machines.StartEtcd
	}
	return all
}

func measureAnswers(set *Settings, d machines.Durability) (results scores, notes []string) {
	var all []*conversation
	starts := conversations(d)
	for _, way := range []machines.Way{machines.Vigil, machines.Watch, machines.Request, machines.Etcd, machines.Redis} {
		if starts[way] == nil {
			continue
		}
		c, err := converse(way, starts[way])
		if errors.Is(err, errors.ErrUnsupported) {
			notes = append(notes, err.Error())
			continue
		}
		mustNot(err)
		defer c.close()
		all = append(all, c)
	}
	slice := max(set.Slice, time.Duration(set.scaled(400, 1))*time.Millisecond)
	results = scores{}
	for r := range set.Rounds {
		for i := range all {
			c := all[(i+r)%len(all)]
			took, err := c.asks.Ask(slice)
			mustNot(err)
			results.add(answerFigures[0].name, string(c.way), took.Median)
			results.add(answerFigures[1].name, string(c.way), took.P99)
		}
	}
	return results, notes
}

func converse(way machines.Way, startServer func() (*machines.Server, error)) (*conversation, error) {
	server, err := startServer()
	if err != nil {
		return nil, err
	}
	c := &conversation{way: way}
	c.closers = append(c.closers, server.Close)
	c.hears, err = machines.StartTalker(way, server.Address(), true)
	mustNot(err)
	c.closers = append(c.closers, c.hears.Close)
	c.asks, err = machines.StartTalker(way, server.Address(), false)
	mustNot(err)
	c.closers = append(c.closers, c.asks.Close)
	return c, nil
}

// members starts a server and processes that have opened its bucket.
func members(n int, d machines.Durability) ([]*machines.Member, closers) {
	server, err := machines.StartNATS(d)
	mustNot(err)
	c := closers{server.Close}
	all := make([]*machines.Member, n)
	for i := range all {
		all[i] = member(server)
		c = append(c, all[i].Close)
		_, err := all[i].Open()
		mustNot(err)
	}
	return all, c
}

func member(server *machines.Server) *machines.Member {
	m, err := machines.StartMember(machines.MemberArgs{Address: server.Address(), Bucket: "bench"})
	mustNot(err)
	return m
}

func loadsJob(set *Settings) Job {
	const unit = "loads/1000 requests"
	return Job{Cell: Cell{Name: "loads", Unit: unit, Procs: set.headline(), Base: string(machines.OwnGroup)}, run: func() ([]measure.Series, []string) {
		workers, c := members(3, machines.Synced)
		defer c.close()
		results, turn := scores{}, 0
		for range set.Rounds {
			for _, s := range []machines.Sharing{machines.OwnGroup, machines.AllGroup, machines.OwnCache, machines.AllCached} {
				turn++
				results.add(unit, string(s), loadTogether(set, workers, s, turn))
			}
		}
		return results[unit], nil
	}}
}

// loadTogether returns the loads of a thousand requests.
func loadTogether(set *Settings, workers []*machines.Member, s machines.Sharing, turn int) float64 {
	all := make([]machines.Loaded, len(workers))
	var g errgroup.Group
	for i, w := range workers {
		g.Go(func() (err error) {
			all[i], err = w.Load(machines.Loads{
				Sharing: s, Name: fmt.Sprint(turn), Keys: set.scaled(1000, 10), Goroutines: set.scaled(64, 4), Requests: set.scaled(50, 2),
				Took: time.Duration(set.scaled(20, 1)) * time.Millisecond, Seed: uint64(turn*len(workers) + i),
			})
			return err
		})
	}
	mustNot(g.Wait())
	loads, requests := 0, 0
	for _, one := range all {
		loads, requests = loads+one.Loads, requests+one.Requests
	}
	return 1000 * float64(loads) / float64(requests)
}
