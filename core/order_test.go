package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// within fails a test that does not end, shortly before the run would: a hook run
// under a lock is a deadlock.
func within(t *testing.T, f func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	var late <-chan time.Time
	if deadline, ok := t.Deadline(); ok {
		late = time.After(time.Until(deadline) * 9 / 10)
	}
	select {
	case <-ended:
	case <-late:
		buf := make([]byte, 1<<16)
		t.Fatalf("no end\n%s", buf[:runtime.Stack(buf, true)])
	}
}

// flapping is a breaker that changes its state all the time, and what its hooks
// were told.
type flapping struct {
	b       *core.Breaker
	inside  atomic.Int32
	overlap atomic.Int32
	// The hooks run one at a time, which the test asserts by inside; the race
	// detector sees it as well, for these are not guarded.
	got     []core.Transition
	refused int
	settled int
	gaps    int
	panics  uint64
}

// hooks returns hooks that note what they are told and then misbehave.
func (f *flapping) hooks(misbehave func(f *flapping, seq uint64)) core.Hooks {
	enter := func() func() {
		if f.inside.Add(1) != 1 {
			f.overlap.Add(1)
		}
		return func() { f.inside.Add(-1) }
	}
	return core.Hooks{
		Transition: func(_ context.Context, t core.Transition) {
			defer enter()()
			f.got = append(f.got, t)
			misbehave(f, t.Seq)
		},
		Refused: func(context.Context, *core.OpenError) {
			defer enter()()
			f.refused++
		},
		Settled: func(_ context.Context, s core.Settlement) {
			defer enter()()
			if f.settled++; s.Seq != uint64(f.settled) {
				f.gaps++
			}
		},
	}
}

func (f *flapping) check(t *testing.T) {
	t.Helper()
	f.b.WaitForHooks()
	if n := f.overlap.Load(); n != 0 {
		t.Fatalf("two hooks ran at once, %d times", n)
	}
	snap := f.b.Snapshot()
	if snap.EventsDropped != 0 {
		t.Fatalf("%d events were dropped; the test means to stay below the limit", snap.EventsDropped)
	}
	for i, tr := range f.got {
		from, seq := core.Closed, uint64(1)
		if i > 0 {
			from, seq = f.got[i-1].To, f.got[i-1].Seq+1
		}
		if tr.From != from || tr.Seq != seq {
			t.Fatalf("transition %d: %v to %v, seq %d; want from %v, seq %d", i, tr.From, tr.To, tr.Seq, from, seq)
		}
		legal := map[core.State][]core.State{core.Closed: {core.Open}, core.Open: {core.HalfOpen, core.Closed}, core.HalfOpen: {core.Open, core.Closed}}
		if !slices.Contains(legal[tr.From], tr.To) {
			t.Fatalf("transition %d from %v to %v", i, tr.From, tr.To)
		}
		if i > 0 && tr.At.Before(f.got[i-1].At) {
			t.Fatalf("transition %d at %v, the one before at %v", i, tr.At, f.got[i-1].At)
		}
	}
	if n := len(snap.Transitions); n > 0 {
		last := f.got[len(f.got)-1]
		if last != snap.Transitions[n-1] {
			t.Fatalf("last told %+v, last made %+v", last, snap.Transitions[n-1])
		}
		if state := f.b.State(); state != last.To && (last.To != core.Open || state != core.HalfOpen) {
			t.Fatalf("state %v, last told %+v", state, last)
		}
	}
	if f.gaps != 0 {
		t.Fatalf("settlements were told out of order, %d of %d", f.gaps, f.settled)
	}
	if f.b.Snapshot().HookPanics != f.panics {
		t.Fatalf("%d panics counted, want %d", f.b.Snapshot().HookPanics, f.panics)
	}
}

// TestHooksInOrder: eight goroutines make a breaker flap; whatever the hooks do,
// every transition is told once, in order, one at a time.
func TestHooksInOrder(t *testing.T) {
	const goroutines, perRound = 8, 30 // at most three events a call: below the 1024 that may wait
	ctx := context.Background()
	cases := map[string]func(f *flapping, seq uint64){
		"quiet":     func(*flapping, uint64) {},
		"slow":      func(*flapping, uint64) { runtime.Gosched(); runtime.Gosched() },
		"panicking": func(f *flapping, seq uint64) { misbehavePanic(f, seq) },
		"goexit": func(_ *flapping, seq uint64) {
			if seq%3 == 0 {
				runtime.Goexit()
			}
		},
		"re-entrant": func(f *flapping, seq uint64) {
			_, _, _ = f.b.State(), f.b.Snapshot(), f.b.Explain()
			switch seq % 8 {
			case 0:
				f.b.Reset()
			case 1, 2, 3:
				if p, err := f.b.Allow(ctx); err == nil {
					p.Settle(ctx, core.Failure)
				}
			case 4:
				_ = f.b.Update(core.Config{FailureThreshold: 1, Timeout: 1, HalfOpenMaxCalls: 2, SuccessThreshold: 1, Hooks: f.hooks(func(*flapping, uint64) {})})
				f.b.Release()
			}
		},
		"all of it": func(f *flapping, seq uint64) {
			switch seq % 7 {
			case 0:
				misbehavePanic(f, 0)
			case 3:
				f.b.Reset()
			case 5:
				runtime.Goexit()
			case 6:
				runtime.Gosched()
			}
		},
	}
	for name, misbehave := range cases {
		t.Run(name, func(t *testing.T) {
			f := new(flapping)
			cfg := core.Config{
				FailureThreshold: 1, Timeout: 1, HalfOpenMaxCalls: 2, SuccessThreshold: 1,
				Hooks: f.hooks(misbehave), Logger: slog.New(slog.DiscardHandler),
			}
			f.b = core.MustNew("flap", cfg)
			rounds := scaled(60)
			within(t, func() {
				for round := range rounds {
					var wg sync.WaitGroup
					for g := range goroutines {
						rng := rand.New(rand.NewPCG(uint64(round), uint64(g)))
						var left atomic.Int32
						left.Store(perRound)
						var work func()
						work = func() {
							// A hook may end this goroutine: another goes on.
							defer func() {
								if left.Load() > 0 {
									wg.Go(work)
								}
							}()
							for left.Add(-1) >= 0 {
								p, err := f.b.Allow(ctx)
								if err != nil {
									continue
								}
								if rng.IntN(3) == 0 {
									runtime.Gosched()
								}
								p.Settle(ctx, [...]core.Outcome{core.Success, core.Failure, core.Ignored}[rng.IntN(3)])
							}
						}
						wg.Go(work)
					}
					wg.Wait()
					f.b.WaitForHooks() // what waits must not add up over rounds
				}
			})
			f.check(t)
			sum := f.b.Snapshot().Totals
			t.Logf("%d transitions, %d refusals, %d settlements, %d panics", len(f.got), f.refused, f.settled, f.panics)
			if len(f.got) < rounds {
				t.Errorf("only %d transitions", len(f.got))
			}
			// Goexit from a hook may end a call between its Allow and its Settle. On
			// a busy machine hooks may run for longer than a caller is held: what is
			// dropped then is counted, and a transition never is.
			done := sum.Successes + sum.Failures + sum.Ignored
			if told, dropped := uint64(f.refused+f.settled), f.b.Snapshot().EventsDropped; told+dropped != sum.Refused+done {
				t.Errorf("%d refusals and settlements told and %d dropped, of %d and %d", told, dropped, sum.Refused, done)
			}
		})
	}
}

func misbehavePanic(f *flapping, seq uint64) {
	if seq%3 == 0 {
		f.panics++
		panic(fmt.Sprintf("hook %d", seq))
	}
}
