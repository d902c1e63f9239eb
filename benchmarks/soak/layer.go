package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

// layer is something with breakers and a driver that calls through them.
type layer struct {
	name    string
	tally   *tally
	source  otelexport.Source
	between time.Duration // two calls of a worker
	workers int
	call    func(ctx context.Context, rng *rand.Rand) // makes one call
	// totals are those of all breakers when nothing is driven any more; nil means
	// the sum over source.
	totals func(m *metrics) (core.Totals, error)
	// extra says what else is wrong in the end, or nil.
	extra func() []string
}

// drive calls until ctx is done. Calls that are out then are waited for.
func (l *layer) drive(ctx context.Context, wg *sync.WaitGroup) {
	for i := range l.workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), uint64(len(l.name))))
			for ctx.Err() == nil {
				l.call(context.WithoutCancel(ctx), rng)
				time.Sleep(l.between)
			}
		})
	}
}

// row compares all that has counted the layer's calls.
func (l *layer) row(m *metrics) row {
	got, err := l.sum(m)
	r := row{layer: l.name, calls: got.Calls, successes: got.Successes, failures: got.Failures, ignored: got.Ignored, refusals: got.Refused}
	if err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
	if got.Calls == 0 {
		r.wrong = append(r.wrong, "there were no calls")
	}
	r.wrong = append(r.wrong, l.tally.compare("breakers", got)...)
	r.wrong = append(r.wrong, l.tally.compare("cumulative metrics", m.cumulative.totals(l.name))...)
	r.wrong = append(r.wrong, l.tally.compare("delta metrics", m.delta.totals(l.name))...)
	r.wrong = append(r.wrong, m.faults(l.name)...)
	if l.extra != nil {
		r.wrong = append(r.wrong, l.extra()...)
	}
	return r
}

func (l *layer) sum(m *metrics) (core.Totals, error) {
	if l.totals != nil {
		return l.totals(m)
	}
	var all core.Totals
	for _, b := range l.source.All() {
		all = plus(all, b.Snapshot().Totals)
	}
	return all, m.collect()
}

// torn says what of a reading cannot have been true at a moment.
func torn(s core.Snapshot) string {
	if w := s.Window; w.Failures > w.Calls || w.Slow > w.Calls {
		return fmt.Sprintf("breaker %q read %d failures and %d slow ones of %d calls", s.Name, w.Failures, w.Slow, w.Calls)
	}
	return ""
}
