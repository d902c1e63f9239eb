package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// soak makes a short round, so that what is made once is there, and then the one
// that counts.
func soak(ctx context.Context, length time.Duration, out, progress io.Writer) error {
	const (
		short    = 2 * time.Second
		patience = 10 * time.Second
	)
	if _, err := round(ctx, min(short, length), progress); err != nil {
		return err
	}
	before := settled(nil, time.Second)
	rows, err := round(ctx, length, progress)
	if err != nil {
		return err
	}
	rows = append(rows, row{layer: "resources", wrong: before.leaked(settled(&before, patience))})
	return write(out, rows)
}

// world is what a round drives.
type world struct {
	layers  []*layer
	begin   []func(context.Context, *sync.WaitGroup) // what disturbs the layers
	staff   *staff
	closers []func()
	dir     string
}

func (w *world) close() {
	for _, v := range slices.Backward(w.closers) {
		v()
	}
	w.closers = nil
}

func (w *world) add(l *layer) { w.layers = append(w.layers, l) }

// round builds everything, drives it for so long, tears it down and compares.
func round(ctx context.Context, length time.Duration, progress io.Writer) ([]row, error) {
	w := new(world)
	defer w.close()
	if err := w.build(); err != nil {
		return nil, err
	}
	m, err := newMetrics(w.layers)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = m.close() })
	if err := m.registerAgents(agentsLayer, w.staff.supervisor); err != nil {
		return nil, err
	}

	fmt.Fprintf(progress, "driving %d layers for %v\n", len(w.layers)+2, length)
	driven, stop := context.WithTimeout(ctx, length)
	defer stop()
	disturbed, calm := context.WithCancel(context.WithoutCancel(ctx))
	defer calm()
	var drivers, others sync.WaitGroup
	for _, l := range w.layers {
		l.drive(driven, &drivers)
	}
	w.staff.drive(driven, &drivers)
	m.watch(disturbed, &others)
	for _, begin := range w.begin {
		begin(disturbed, &others)
	}
	drivers.Wait()
	calm()
	others.Wait()
	w.quiet()

	var rows []row
	for _, l := range w.layers {
		rows = append(rows, l.row(m))
	}
	return append(rows, w.staff.rows(m)...), ctx.Err()
}

// quiet waits for handlers whose client has left already. If it has waited long
// enough, the rows tell which calls are still in flight.
func (w *world) quiet() {
	const (
		patience = 30 * time.Second
		pause    = 10 * time.Millisecond
	)
	for range patience / pause {
		out := int64(0)
		for _, l := range w.layers {
			for _, b := range l.source.All() {
				out += b.Snapshot().Totals.InFlight
			}
		}
		if out == 0 {
			return
		}
		time.Sleep(pause)
	}
}

func (w *world) build() (err error) {
	if w.dir, err = os.MkdirTemp("", "switchgear-soak"); err != nil {
		return err
	}
	w.closers = append(w.closers, func() { _ = os.RemoveAll(w.dir) })
	w.staff, err = newStaff(w)
	if err = cmp.Or(err, errors.Join(w.addHTTP(), w.addGRPC(), w.addFunctions())); err != nil {
		return err
	}
	w.addNames()
	return nil
}

// brisk is a breaker that goes through all its states many times in a minute.
// Nothing of it goes by how long a call takes: the machine may be busy.
func brisk() core.Config {
	return core.Config{
		FailureRateThreshold: 0.6, MinimumCalls: 10, Window: core.Window{For: time.Second},
		Timeout: 30 * time.Millisecond, MaxTimeout: 60 * time.Millisecond,
		ProbeTimeout: time.Hour, Durations: true,
	}
}

// lease is longer than any call, so that a probe is settled by how it ends.
const lease = 30 * time.Minute

func breakers() *core.Registry {
	return &core.Registry{Config: func(string) core.Config { return brisk() }}
}

// guarding is the registry of a server, in which the breaker of one route never
// opens. A server's probe that waits for its client gives its place to a call that
// asks for one, and asks for another later. So it may count twice, or by what its
// status said before its handler failed, and may be refused where its client meets
// no refusal: nothing of which a driver can see. The route whose calls wait for
// their clients, and fail, therefore has no probes here; the attacks are about them.
func guarding(waits string) *core.Registry {
	return &core.Registry{Config: func(route string) core.Config {
		cfg := brisk()
		if route == waits {
			cfg.FailureThreshold, cfg.FailureRateThreshold = -1, -1
		}
		return cfg
	}}
}
