package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// names are more than their registry has room for, in sets of which one is in use
// at a time: the breakers of the others are evicted and made anew.
type names struct {
	tally    *tally
	registry *core.Registry
	sets     [][]string
	current  sync.RWMutex // held for reading during a call
	set      int
}

func (w *world) addNames() {
	// Only a few names have no breaker at any time, and none is without one while
	// fifty others are evicted: a registry keeps the totals of so many.
	const (
		sets   = 3
		inSet  = 18
		places = 50
	)
	n := &names{tally: new(tally), registry: &core.Registry{Max: places, Config: func(string) core.Config { return brisk() }}}
	for s := range sets {
		set := make([]string, inSet)
		for i := range set {
			set[i] = fmt.Sprintf("set-%d-name-%d", s, i)
		}
		n.sets = append(n.sets, set)
	}
	w.add(&layer{
		name: "names (core)", tally: n.tally, source: n.registry, workers: 4, between: 500 * time.Microsecond,
		call: n.call, totals: n.totals,
	})
	w.begin = append(w.begin, func(ctx context.Context, wg *sync.WaitGroup) {
		wg.Go(func() {
			for pause(ctx, 300*time.Millisecond) {
				n.current.Lock()
				n.set = (n.set + 1) % len(n.sets)
				n.current.Unlock()
			}
		})
	})
}

// totals are those of each name once its breaker is there again.
func (n *names) totals(m *metrics) (all core.Totals, err error) {
	const often = 10 // names between two collections; fewer than fit at once
	known := slices.Concat(n.sets...)
	for i, name := range known {
		b, err := n.registry.Get(name)
		if err != nil {
			return all, fmt.Errorf("a name that has rested finds no place: %w", err)
		}
		if b.Name() == name {
			all = plus(all, b.Snapshot().Totals)
		}
		if i%often == 0 {
			if err := m.collect(); err != nil {
				return all, err
			}
		}
	}
	for name, b := range n.registry.All() {
		if !slices.Contains(known, name) { // one that several names share
			all = plus(all, b.Snapshot().Totals)
		}
	}
	return all, m.collect()
}

var errName = errors.New("the call failed")

// call makes one call through the breaker of some name, or disturbs it.
func (n *names) call(ctx context.Context, rng *rand.Rand) {
	n.current.RLock()
	defer n.current.RUnlock()
	set := n.sets[n.set]
	b, err := n.registry.Get(set[rng.IntN(len(set))])
	if err != nil {
		return // no place: the call is made without a breaker
	}
	const kinds = 200
	switch kind := rng.IntN(kinds); {
	case kind == 0:
		b.Reset()
	case kind == 1:
		if err := b.Force(core.ForcedOpen); err != nil {
			panic(err) // it is one of the constants
		}
		n.one(ctx, b, core.Success)
		b.Release()
	case kind == 2:
		cfg := brisk()
		cfg.Window = []core.Window{{Calls: 20}, {For: time.Second}, {Calls: 100}, {For: 100 * time.Millisecond}}[rng.IntN(4)]
		if err := b.Update(cfg); err != nil {
			panic(err) // our own Config
		}
	case kind == 3:
		n.unwound(ctx, b, func() { panic(errName) })
	case kind == 4:
		n.unwound(ctx, b, runtime.Goexit)
	case kind < 30:
		n.one(ctx, b, core.Failure)
	case kind < 40:
		n.one(ctx, b, core.Ignored)
	default:
		n.one(ctx, b, core.Success)
	}
}

// one is a call by a permit.
func (n *names) one(ctx context.Context, b *core.Breaker, o core.Outcome) {
	p, err := b.Allow(ctx)
	if err != nil {
		n.tally.refused.Add(1)
		return
	}
	n.count(o)
	runtime.Gosched()
	p.Settle(ctx, o)
	p.Settle(ctx, core.Failure) // the first settlement wins
}

// unwound is a call of a function that does not return.
func (n *names) unwound(ctx context.Context, b *core.Breaker, end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		err := b.Do(ctx, func(context.Context) error {
			n.count(core.Failure)
			end()
			return nil
		})
		if err != nil {
			n.tally.refused.Add(1)
		}
	}()
	<-done
}

func (n *names) count(o core.Outcome) {
	switch o {
	case core.Success:
		n.tally.successes.Add(1)
	case core.Ignored:
		n.tally.ignored.Add(1)
	case core.Failure:
		n.tally.failures.Add(1)
	}
}
