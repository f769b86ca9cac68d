package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vigil-go/vigil/cluster/internal/lab"
	"github.com/vigil-go/vigil/internal/cli"
)

// A demo is one run of the program.
type demo struct {
	c       *config
	lab     *lab.Lab
	workers []*machine
	ledger  ledger

	listening sync.WaitGroup
	waits     sync.WaitGroup // for a leader
	start     time.Time

	mu      sync.Mutex // guards what follows, and in the machines what is said there
	events  []event
	samples []sample
	leader  string // the server that leads the bucket
	killed  int    // servers
	victim  victim
	failure error // of a worker that has ended when it should not
}

// A machine is a worker's process.
type machine struct {
	number  int
	process *lab.Process
	ready   chan string // receives the address of its page
	ended   chan struct{}

	// Guarded by demo.mu.
	state  string // what was done to it; empty if nothing was
	report report
}

// A victim is the load during which a worker is killed.
type victim struct {
	worker int
	key    string
	at     time.Time // zero: it was not killed
}

// An event is what was done to a machine.
type event struct {
	at    time.Time
	text  string
	label string // for the plot
}

// A sample is what the workers had done at some time.
type sample struct {
	at      time.Time
	reports []report
	dead    []bool
}

// demonstrate runs the demo, and returns an error if something was not as it should be.
func demonstrate(ctx context.Context, c *config, stdout, stderr io.Writer) error {
	d := &demo{c: c}
	fmt.Fprintf(stdout, "starting %d servers and %d workers\n", c.Servers, c.Workers)
	defer d.close()
	if err := d.open(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return err
	}
	d.welcome(stdout)
	screen := cli.NewScreen(stdout, c.Plain)
	d.run(ctx, screen)
	fmt.Fprint(stdout, d.totals())
	if err := cli.WritePlot(stdout, c.Out, "clusterdemo", plotTemplate, d.plot()); err != nil {
		return err
	}
	return d.verdict(ctx)
}

// open starts all processes.
func (d *demo) open(ctx context.Context) (err error) {
	if d.lab, err = lab.New(ctx, &lab.Options{Servers: d.c.Servers, Isolation: lab.Proxies}); err != nil {
		return err
	}
	c, err := json.Marshal(d.c)
	if err != nil {
		return err
	}
	for i := range d.c.Workers {
		p, err := d.lab.Worker(fmt.Sprint("worker", i), workerFunction, fmt.Sprint(i), string(c))
		if err != nil {
			return err
		}
		m := &machine{number: i, process: p, ready: make(chan string, 1), ended: make(chan struct{})}
		d.workers = append(d.workers, m)
		d.listening.Go(func() { d.listen(m) })
	}
	return nil
}

// close ends all processes.
func (d *demo) close() {
	if d.lab != nil {
		d.lab.Close()
	}
	d.listening.Wait()
}

// listen takes what a worker tells, until it has ended.
func (d *demo) listen(m *machine) {
	defer close(m.ended)
	for {
		var got message
		if err := m.process.Receive(context.Background(), &got); err != nil {
			d.lost(m)
			return
		}
		switch {
		case got.Ready != "":
			m.ready <- got.Ready
		case got.Begun != nil:
			d.ledger.begun(got.Begun)
		case got.Ended != nil:
			d.ledger.ended(got.Ended)
		case got.Report != nil:
			d.mu.Lock()
			m.report = *got.Report
			d.mu.Unlock()
		}
	}
}

// lost notes that a worker has ended, which is a failure unless it was told to.
func (d *demo) lost(m *machine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.state != killed && !m.report.Final && d.failure == nil {
		d.failure = fmt.Errorf("%s has ended: %s", m.process.Name, m.process.Log())
	}
}

// welcome waits until all workers are ready, and says what there is.
func (d *demo) welcome(stdout io.Writer) {
	for _, m := range d.workers {
		select {
		case page := <-m.ready:
			if page != "-" {
				fmt.Fprintf(stdout, "debug page of %s: %s\n", m.process.Name, page)
			}
		case <-m.ended:
		}
	}
	fmt.Fprintf(stdout, "hits: found a valid page; shared: got what another request loads; lag: revisions not seen yet\n")
	fmt.Fprintf(stdout, "each worker has %d clients, which ask for %d keys; a page is valid for about %v\n", d.c.Clients, d.c.Keys, d.c.Fresh)
}

// send sends an order to the workers that are there.
func (d *demo) send(o order, to ...*machine) {
	for _, m := range to {
		m.process.Send(o) // an error is that of a worker that is gone
	}
}

// alive returns the workers that were not killed.
func (d *demo) alive() (all []*machine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.workers {
		if m.state != killed {
			all = append(all, m)
		}
	}
	return all
}

// run lets the workers work, and shows what they do.
func (d *demo) run(ctx context.Context, screen *cli.Screen) {
	d.start = time.Now()
	d.send(order{Begin: true}, d.workers...)
	ctx, cancel := context.WithCancel(ctx)
	var schedule sync.WaitGroup
	defer d.waits.Wait()
	defer schedule.Wait()
	finished := make(chan struct{})
	schedule.Go(func() {
		defer close(finished)
		d.schedule(ctx)
	})
	d.show(screen, finished)
	cancel()
}

// show draws what there is until the schedule is finished.
func (d *demo) show(screen *cli.Screen, finished chan struct{}) {
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	told := 0 // events that were printed
	for over := false; !over; {
		select {
		case <-tick.C:
			d.sample()
		case <-finished:
			over = true
		}
		if screen.Terminal {
			if over || screen.Due() {
				screen.Draw("\n" + d.table() + strings.Join(d.news(0), ""))
			}
			continue
		}
		news := d.news(told)
		told += len(news)
		text := strings.Join(news, "")
		if screen.Due() {
			text += d.line()
		}
		screen.Draw(text)
	}
}

// verdict returns an error if a load or a request was not as it should be. On some systems the
// keys that interrupt this process end the workers, too.
func (d *demo) verdict(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil && ctx.Err() == nil {
		return d.failure
	}
	for _, m := range d.workers {
		if m.report.Failed > 0 {
			return fmt.Errorf("%d requests of %s failed: %s", m.report.Failed, m.process.Name, m.report.Failure)
		}
	}
	if wrong := d.ledger.duplicates(); len(wrong) > 0 {
		return fmt.Errorf("%d loads were one too many: %s", len(wrong), wrong[0])
	}
	return nil
}
