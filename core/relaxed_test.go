package core_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Sums over shards are not one reading, by design. What holds: they are never
// more than the truth while calls run, and equal to it at rest.

// TestTimeWindow compares a time window with a list of what it was told: the
// running tenth and the nine before it.
func TestTimeWindow(t *testing.T) {
	for seed := range uint64(scaled(300)) {
		draw := seeded(seed)
		var clock handClock
		window := pickFrom(draw, 10*time.Millisecond, 100*time.Millisecond, time.Second, 30*time.Second)
		slowAfter := pickFrom(draw, 0, window/20)
		b := withoutRules("window", core.Config{
			Window: core.Window{For: window}, SlowAfter: slowAfter, Durations: draw(3) == 0, Now: clock.now,
		})
		type call struct {
			tenth int64
			mark  string
		}
		var calls []call
		width := window / 10
		streak := 0
		for range 120 {
			if draw(3) == 0 {
				clock.advance(pickFrom(draw, 1, width/3, width-1, width, width+1, 3*width, window, window+width, 5*window))
			}
			p, err := b.Allow(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			took := pickFrom(draw, 0, 0, 0, window/20, window/20+1, window)
			clock.advance(took)
			outcome := pickFrom(draw, core.Success, core.Success, core.Failure, core.Ignored)
			p.Settle(context.Background(), outcome)
			mark := markOf(outcome, slowAfter > 0 && took > slowAfter)
			calls = append(calls, call{int64(clock.since() / width), mark})
			if mark != "" {
				streak = (streak + 1) * markBit(mark, failedMark)
			}
			if draw(4) == 0 {
				clock.advance(pickFrom(draw, width, 9*width, 10*width))
			}

			want := core.Counts{Consecutive: streak}
			newest := int64(clock.since() / width)
			for _, c := range calls {
				if newest-c.tenth < 10 && c.mark != "" {
					want.Calls++
					want.Failures += markBit(c.mark, failedMark)
					want.Slow += markBit(c.mark, slowMark)
				}
			}
			if got := b.Snapshot().Window; got != want {
				t.Fatalf("seed %d, window %v at %v: %+v, want %+v", seed, window, clock.since(), got, want)
			}
		}
	}
}

// TestCountWindowLaps runs a count window past the point where its position
// wraps, and compares it with the marks themselves.
func TestCountWindowLaps(t *testing.T) {
	for _, n := range []int{7, 10_000} {
		b := withoutRules("laps", core.Config{Window: core.Window{Calls: n}})
		marks := make([]byte, n)
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		failures, calls := 0, 12*n
		for i := range calls {
			if i == 2*n {
				core.AgeWindow(b, 1<<22/n-5) // as if so many windows of calls had been made
			}
			p, err := b.Allow(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			failures -= int(marks[i%n])
			marks[i%n] = byte(rng.IntN(2))
			failures += int(marks[i%n])
			p.Settle(context.Background(), [...]core.Outcome{core.Success, core.Failure}[marks[i%n]])
			if i%16 == 0 || i > calls-100 {
				if got := b.Snapshot().Window; got.Failures != failures || got.Calls != min(i+1, n) {
					t.Fatalf("n %d after %d calls: %+v, want %d failures", n, i+1, got, failures)
				}
			}
		}
	}
}

// TestWindowDrift: the counts of a window are kept by adding and taking away, so
// one mark that is lost or read wrongly would stay in them for ever. After many
// calls at once, a window's worth of successes must leave nothing.
func TestWindowDrift(t *testing.T) {
	for round := range scaled(5) {
		for _, n := range []int{1, 2, 3, 5, 16, 17, 40} {
			var clock handClock
			b := withoutRules("drift", core.Config{Window: core.Window{Calls: n}, SlowAfter: 1, Now: clock.now})
			hammer(4, 1000, func(g, i int) {
				p, err := b.Allow(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if (i+g)%5 == 0 {
					clock.advance(2)
				}
				if i%3 == g%3 {
					runtime.Gosched()
				}
				p.Settle(context.Background(), [...]core.Outcome{core.Success, core.Failure}[(i>>1+g+round)&1])
			})
			if w := b.Snapshot().Window; w.Calls != n || w.Failures > n || w.Slow > n {
				t.Fatalf("window of %d calls: %+v", n, w)
			}
			for range n {
				settleOne(t, b, core.Success)
			}
			if w := b.Snapshot().Window; w != (core.Counts{Calls: n}) {
				t.Fatalf("window of %d calls, all of them successes: %+v", n, w)
			}
		}
	}
}

// TestLongStreak: the streak is counted up to the largest threshold there is.
func TestLongStreak(t *testing.T) {
	b := core.MustNew("streak", core.Config{FailureThreshold: 1000, FailureRateThreshold: -1})
	for i := range 1000 {
		p, err := b.Allow(context.Background())
		if err != nil {
			t.Fatalf("refused after %d failures: %v", i, err)
		}
		p.Settle(context.Background(), core.Failure)
	}
	if got := b.Snapshot(); got.Cause != core.CauseConsecutiveFailures {
		t.Fatalf("after 1000 failures: %v, %v", got.State, got.Cause)
	}
}

// TestSumsUnderContention: windows, totals and histograms.
func TestSumsUnderContention(t *testing.T) {
	shapes := map[string]core.Config{
		"calls":                     {Window: core.Window{Calls: 10_000}},
		"time":                      {Window: core.Window{For: time.Minute}},
		"time, durations":           {Window: core.Window{For: time.Minute}, Durations: true, SlowAfter: time.Second},
		"calls, durations, history": {Window: core.Window{Calls: 10_000}, Durations: true, SlowAfter: time.Second, History: time.Hour},
	}
	for name, cfg := range shapes {
		t.Run(name, func(t *testing.T) {
			for range scaled(20) {
				sumsUnderContention(t, cfg)
			}
		})
	}
}

func sumsUnderContention(t *testing.T, cfg core.Config) {
	const goroutines = 8
	var clock handClock
	var settledHook atomic.Uint64
	cfg.Now = clock.now
	if cfg.History > 0 {
		cfg.Hooks.Settled = func(context.Context, core.Settlement) { settledHook.Add(1) }
	}
	b := withoutRules("sums", cfg)
	const times = 10_000 / goroutines // all fit the count window
	var begun, failures, ended atomic.Int64
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() { // never more than the truth
		defer close(watched)
		var last core.Totals
		for {
			endedBefore := ended.Load()
			snap := b.Snapshot()
			most, mostFailures := begun.Load(), failures.Load()
			w, sum := snap.Window, snap.Totals
			if int64(w.Calls) > most || int64(w.Failures) > mostFailures || int64(sum.Calls) > most || int64(sum.Failures) > mostFailures ||
				snap.Durations.Count > uint64(most) || sum.InFlight < 0 || sum.Calls < last.Calls || sum.Successes < last.Successes {
				t.Errorf("more than the truth: %+v, begun %d, failures %d", snap, most, mostFailures)
			}
			if int64(w.Calls) < endedBefore || int64(sum.Calls-sum.Ignored) < endedBefore {
				t.Errorf("less than what had ended: %+v, ended %d", snap, endedBefore)
			}
			last = sum
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	hammer(goroutines, times, func(g, i int) {
		begun.Add(1)
		p, err := b.Allow(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		if i%1000 == g && cfg.SlowAfter > 0 {
			clock.advance(2 * time.Millisecond)
		}
		outcome := core.Success
		switch (g + i) % 10 {
		case 0:
			failures.Add(1)
			outcome = core.Failure
		case 1:
			p.Settle(context.Background(), core.Ignored)
			p.Settle(context.Background(), core.Failure)
			return
		}
		p.Settle(context.Background(), outcome)
		p.Settle(context.Background(), core.Failure)
		ended.Add(1)
	})
	close(stop)
	<-watched

	b.WaitForHooks()
	snap := b.Snapshot()
	calls, ok := uint64(goroutines*times), uint64(ended.Load()-failures.Load())
	want := core.Totals{Calls: calls, Failures: uint64(failures.Load()), Successes: ok, Ignored: calls - uint64(ended.Load())}
	if snap.Totals != want {
		t.Errorf("totals %+v, want %+v", snap.Totals, want)
	}
	if int64(snap.Window.Calls) != ended.Load() || int64(snap.Window.Failures) != failures.Load() {
		t.Errorf("window %+v, want %d, %d", snap.Window, ended.Load(), failures.Load())
	}
	if cfg.Durations && snap.Durations.Count != uint64(ended.Load()) {
		t.Errorf("%d durations, want %d", snap.Durations.Count, ended.Load())
	}
	if cfg.Durations {
		sum := map[core.Outcome]int64{}
		for _, o := range []core.Outcome{core.Success, core.Failure} {
			for _, n := range b.Buckets(o) {
				sum[o] += int64(n)
			}
		}
		if sum[core.Success] != int64(ok) || sum[core.Failure] != failures.Load() {
			t.Errorf("buckets of %v, want %d and %d", sum, ok, failures.Load())
		}
	}
	if cfg.Hooks.Settled != nil && settledHook.Load()+snap.EventsDropped != calls {
		t.Errorf("Settled was told %d times, %d were dropped, of %d", settledHook.Load(), snap.EventsDropped, calls)
	}
	if cfg.History > 0 {
		var sum uint64
		for _, row := range snap.History {
			sum += row.Calls
		}
		if sum != uint64(ended.Load()) {
			t.Errorf("history of %d calls, want %d", sum, ended.Load())
		}
	}
}

// TestExpiryUnderContention: with the clock running through window after
// window, sums stay below the truth, and after a window at rest they are zero.
func TestExpiryUnderContention(t *testing.T) {
	var clock handClock
	b := withoutRules("expiry", core.Config{Window: core.Window{For: 100 * time.Millisecond}, Durations: true, Now: clock.now})
	var begun atomic.Int64
	hammer(8, scaled(20_000), func(g, i int) {
		begun.Add(1)
		if (i+g)%7 == 0 {
			clock.advance(time.Millisecond)
		}
		if i%1000 == 0 {
			clock.advance(time.Minute)
		}
		p, err := b.Allow(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		p.Settle(context.Background(), [...]core.Outcome{core.Success, core.Failure}[i%2])
		if i%64 == 0 {
			if w, most := b.Snapshot().Window, begun.Load(); int64(w.Calls) > most || int64(w.Failures) > most {
				t.Errorf("window %+v of at most %d calls", w, most)
			}
		}
	})
	clock.advance(100 * time.Millisecond)
	if w := b.Snapshot().Window; w.Calls != 0 || w.Failures != 0 {
		t.Errorf("after a window without calls: %+v", w)
	}
	clock.advance(2 * time.Minute)
	if d := b.Snapshot().Durations; d != (core.Durations{}) {
		t.Errorf("two minutes later: %+v", d)
	}
}

// TestSettledTwice: permits that one goroutine settled are settled again by
// another, and some a third time; only the first time counts. (Two at the same
// time are the caller's mistake, see Permit.)
func TestSettledTwice(t *testing.T) {
	ctx := context.Background()
	for name, cfg := range map[string]core.Config{
		"count window":    {Window: core.Window{Calls: 10_000}},
		"time window":     {Window: core.Window{For: time.Minute}, SlowAfter: time.Minute},
		"with a hook":     {Window: core.Window{Calls: 10_000}, Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) {}}},
		"with durations":  {Window: core.Window{Calls: 10_000}, Durations: true},
		"with a classify": {Window: core.Window{Calls: 10_000}, Classify: core.DefaultClassify},
	} {
		t.Run(name, func(t *testing.T) {
			b := withoutRules("double", cfg)
			settlers := []func(p *core.Permit){
				func(p *core.Permit) { p.Settle(ctx, core.Success) },
				func(p *core.Permit) { p.Settle(ctx, core.Failure) },
				func(p *core.Permit) { p.Settle(ctx, core.Ignored) },
				func(p *core.Permit) { p.Done(ctx, nil) },
				func(p *core.Permit) { p.Done(ctx, errAlloc) },
				func(p *core.Permit) { p.Report(ctx, core.Failure, core.RetryAfter(errSick, time.Second)) },
			}
			const workers = 4
			each := scaled(2000)
			var failures atomic.Uint64
			again := make(chan *core.Permit, 64)
			var second sync.WaitGroup
			for range 2 {
				second.Go(func() {
					for p := range again {
						for _, settle := range settlers {
							settle(p)
						}
					}
				})
			}
			hammer(workers, each, func(g, i int) {
				p, err := b.Allow(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				which := (g + i) % len(settlers)
				settlers[which](&p)
				if which == 1 || which >= 4 {
					failures.Add(1)
				}
				again <- &p
			})
			close(again)
			second.Wait()
			snap := b.Snapshot()
			sum, n := snap.Totals, uint64(workers*each)
			if sum.Calls != n || sum.Successes+sum.Failures+sum.Ignored != n || sum.InFlight != 0 {
				t.Errorf("%d permits, each settled again: %+v", n, sum)
			}
			counted := sum.Successes + sum.Failures
			if sum.Failures != failures.Load() || uint64(snap.Window.Calls) != counted || uint64(snap.Window.Failures) != sum.Failures {
				t.Errorf("%d permits, each settled again: %+v, window %+v", n, sum, snap.Window)
			}
		})
	}
}

// TestReshapeUnderContention: a change of the window's size or kind, while calls
// end, loses no call.
func TestReshapeUnderContention(t *testing.T) {
	const goroutines, each = 6, 9_999 / 6
	shapes := map[string][]core.Window{
		"calls":         {{Calls: 10_000}, {Calls: 9_999}},
		"time":          {{For: time.Hour}, {For: 2 * time.Hour}},
		"many times":    {{For: time.Hour}, {For: 24 * time.Hour}, {For: 10 * time.Second}, {For: 11 * time.Second}},
		"calls to time": {{Calls: 10_000}, {For: time.Hour}},
	}
	for name, windows := range shapes {
		for _, o := range []core.Outcome{core.Success, core.Failure} {
			t.Run(name+", "+o.String(), func(t *testing.T) {
				changes := 0
				for range scaled(20) {
					var clock handClock
					cfg := neverOpens(core.Config{Window: windows[0], FailureRateThreshold: 1, MinimumCalls: 9_999, Now: clock.now}) // more than are made
					b := core.MustNew("reshape", cfg)
					var done atomic.Bool
					updated := make(chan int)
					go func() {
						n := 0
						for ; !done.Load(); n++ {
							to := cfg
							to.Window = windows[(n+1)%len(windows)]
							if err := b.Update(to); err != nil {
								t.Error(err)
							}
							runtime.Gosched()
						}
						updated <- n
					}()
					hammer(goroutines, each, func(_, _ int) {
						p, err := b.Allow(context.Background())
						if err != nil {
							t.Error(err)
							return
						}
						p.Settle(context.Background(), o)
					})
					done.Store(true)
					n := <-updated
					changes += n
					snap := b.Snapshot()
					w, calls, streak := snap.Window, goroutines*each, 1023
					failures := calls
					if o == core.Success {
						failures, streak = 0, 0
					}
					if w.Calls != calls || w.Failures != failures {
						t.Fatalf("after %d changes: %+v, want %d calls, %d failures", n, w, calls, failures)
					}
					if w.Consecutive != streak || snap.Totals.Late != 0 || len(snap.Transitions) != 0 {
						t.Fatalf("after %d changes: streak %d, %d late, %d transitions", n, w.Consecutive, snap.Totals.Late, len(snap.Transitions))
					}
				}
				t.Logf("%d changes", changes)
			})
		}
	}
}

// TestRampShares: while ramping up, the share of admitted calls grows from a
// tenth to all, also when many ask at once.
func TestRampShares(t *testing.T) {
	for _, goroutines := range []int{1, 8} {
		var clock handClock
		const ramp = 100 * time.Second
		b := core.MustNew("ramp", core.Config{FailureThreshold: 1, Timeout: time.Second, SuccessThreshold: 1, RampUp: ramp, Now: clock.now})
		settleNext := func(o core.Outcome) {
			p, err := b.Allow(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			p.Settle(context.Background(), o)
		}
		settleNext(core.Failure)
		clock.advance(time.Second)
		settleNext(core.Success)
		if b.State() != core.Closed {
			t.Fatal("not closed")
		}
		each := scaled(2000)
		calls := each * goroutines
		for _, percent := range []int{0, 25, 50, 90} {
			var admitted atomic.Int64
			hammer(goroutines, each, func(_, _ int) {
				p, err := b.Allow(context.Background())
				if err == nil {
					admitted.Add(1)
					p.Settle(context.Background(), core.Success)
				}
			})
			want := (10 + 90*percent/100) * calls / 100
			if got := int(admitted.Load()); got < want-calls/100-1 || got > want+calls/100+1 {
				t.Errorf("%d goroutines, %d %% of the ramp: %d of %d admitted, want %d", goroutines, percent, got, calls, want)
			}
			clock.advance(ramp * time.Duration([...]int{0: 25, 25: 25, 50: 40, 90: 10}[percent]) / 100)
		}
		for range 1000 {
			settleNext(core.Success) // the ramp is over: none is refused
		}
	}
}

// TestBreakLengths: the time spent open is spread by Jitter evenly around what
// TimeoutFactor makes of it, and never above MaxTimeout.
func TestBreakLengths(t *testing.T) {
	const breakers = 400
	ctx := context.Background()
	for opens, center := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 60 * time.Second} {
		lengths := make(map[time.Duration]bool)
		var sum, shortest, longest time.Duration
		for range breakers {
			var clock handClock
			b := core.MustNew("break", core.Config{
				FailureThreshold: 1, Timeout: 10 * time.Second, TimeoutFactor: 2, MaxTimeout: time.Minute, Jitter: 0.2, Now: clock.now,
			})
			for range opens {
				settleOne(t, b, core.Failure)
				clock.advance(time.Minute)
			}
			p, err := b.Allow(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p.Settle(ctx, core.Failure)
			length := b.Snapshot().RetryAt.Sub(clock.now())
			lengths[length] = true
			sum += length
			if shortest == 0 || length < shortest {
				shortest = length
			}
			longest = max(longest, length)
		}
		least, most := center*8/10, min(center*12/10, time.Minute)
		if shortest < least || longest > most {
			t.Errorf("opening %d: %v to %v, want %v to %v", opens+1, shortest, longest, least, most)
		}
		mean := sum / breakers
		if center < time.Minute && (len(lengths) < breakers/2 || longest-shortest < center*3/10 || mean < center*97/100 || mean > center*103/100) {
			t.Errorf("opening %d: %d lengths, %v to %v, mean %v; want them spread around %v", opens+1, len(lengths), shortest, longest, mean, center)
		}
	}
}

// TestEveryWayOut: Do settles its permit whatever becomes of the call.
func TestEveryWayOut(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, way := range []struct {
		name string
		f    func(context.Context) error
		want core.Totals
	}{
		{"returns", func(context.Context) error { return nil }, core.Totals{Calls: 1, Successes: 1}},
		{"fails", func(context.Context) error { return errAlloc }, core.Totals{Calls: 1, Failures: 1}},
		{"panics", func(context.Context) error { panic("at the disco") }, core.Totals{Calls: 1, Failures: 1}},
		{"ends its goroutine", func(context.Context) error { runtime.Goexit(); return nil }, core.Totals{Calls: 1, Failures: 1}},
		{"another gate refuses", func(context.Context) error { return core.ErrOpen }, core.Totals{Calls: 1, Ignored: 1}},
		{"is cancelled", func(context.Context) error { cancel(); return errAlloc }, core.Totals{Calls: 1, Ignored: 1}},
	} {
		t.Run(way.name, func(t *testing.T) {
			for _, do := range []func(b *core.Breaker){
				func(b *core.Breaker) { _ = b.Do(cancelled, way.f) },
				func(b *core.Breaker) {
					_, _ = core.Do(cancelled, b, func(ctx context.Context) (int, error) { return 0, way.f(ctx) })
				},
			} {
				b := core.MustNew("way out", core.Config{})
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { _ = recover() }()
					do(b)
				})
				wg.Wait()
				if got := b.Snapshot().Totals; got != way.want && got != (core.Totals{}) || got == (core.Totals{}) && cancelled.Err() == nil {
					t.Errorf("%+v, want %+v", got, way.want)
				}
			}
		})
	}
}

// TestRegistryKeeps: a registry evicts idle breakers, one that is not closed after
// MaxTimeout more, and none with an override or a permit out.
func TestRegistryKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := core.Registry{
			Idle: time.Hour, Max: 100,
			Config: func(string) core.Config {
				return core.Config{FailureThreshold: 1, Timeout: 24 * time.Hour, MaxTimeout: 24 * time.Hour}
			},
		}
		get := func(name string) *core.Breaker {
			b, err := r.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		kept := make(map[string]*core.Breaker)
		for _, name := range []string{"open", "half-open", "permit out", "forced", "asked for"} {
			kept[name] = get(name)
		}
		idle := get("idle")
		settleOne(t, idle, core.Success)
		settleOne(t, kept["open"], core.Failure)
		p, err := kept["permit out"].Allow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := kept["forced"].Force(core.Disabled); err != nil {
			t.Fatal(err)
		}
		half := kept["half-open"]
		if err := half.Update(core.Config{FailureThreshold: 1, Timeout: time.Second, MaxTimeout: 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		settleOne(t, half, core.Failure)
		for i := range 10 {
			time.Sleep(20 * time.Minute)
			get("asked for")
			get("new " + string(rune('a'+i)))
		}
		seen := maps.Collect(r.All())
		for name, b := range kept {
			if seen[name] != b {
				t.Errorf("%s: evicted", name)
			}
		}
		if seen["idle"] != nil || seen["new a"] != nil {
			t.Error("idle breakers were not evicted")
		}
		if r.Len() != len(seen) {
			t.Errorf("Len %d, %d seen", r.Len(), len(seen))
		}
		p.Settle(t.Context(), core.Success)
		time.Sleep(2 * time.Hour)
		get("sweep 1")
		time.Sleep(2 * time.Hour)
		get("sweep 2")
		if get("permit out") == kept["permit out"] {
			t.Error("the permit was settled, and the breaker was kept")
		}
	})
}

// TestRegistryUnderContention: while a permit of a breaker is out, its name gives that breaker, though sweeps never stop; the cap holds.
func TestRegistryUnderContention(t *testing.T) {
	const most = 20
	r := core.Registry{Idle: time.Nanosecond, Max: most}
	hammer(8, scaled(3000), func(g, i int) {
		name := string(rune('A' + (g*7+i)%40))
		b, err := r.Get(name)
		if err != nil {
			t.Error(err)
			return
		}
		p, err := b.Allow(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		before, err := r.Get(name)
		if err == nil && before == b && b.Name() == name {
			runtime.Gosched()
			if again, err := r.Get(name); err != nil || again != b {
				t.Errorf("%s was evicted while its permit was out (%v)", name, err)
			}
		}
		p.Settle(context.Background(), core.Success)
		if n := r.Len(); n > most {
			t.Errorf("%d breakers, at most %d", n, most)
		}
	})
}
