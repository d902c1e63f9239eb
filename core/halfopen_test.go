package core_test

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A breaker goes from closed over open and half-open to closed by itself, and a lost
// probe does not wedge it.
func TestHalfOpen(t *testing.T) {
	bubble(t, "the threshold closes, one less does not", func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 3})
		succeed(t, b, 2)
		wantState(t, b, core.HalfOpen)
		wantWindow(t, b, core.Counts{Calls: 2, Consecutive: 2})
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
		wantWindow(t, b, core.Counts{})
		tr := b.Snapshot().Transitions
		if got, want := tr[len(tr)-1].Counts, (core.Counts{Calls: 3, Consecutive: 3}); got != want {
			t.Errorf("closed by %+v, want %+v", got, want)
		}
	})
	bubble(t, "the first failure opens", func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 3, FailureRateThreshold: 1})
		succeed(t, b, 2)
		fail(t, b, 1)
		wantState(t, b, core.Open)
		if got := b.Snapshot().Cause; got != core.CauseProbeFailed {
			t.Errorf("cause = %v, want %v", got, core.CauseProbeFailed)
		}
	})
	bubble(t, "at its limit it refuses, and does not count a call", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2})
		take(t, b)
		take(t, b)
		refused := refusal(t, b)
		if refused.State != core.HalfOpen || refused.Cause != core.CauseProbesOut {
			t.Errorf("refusal: %v, %v; want half-open, %v", refused.State, refused.Cause, core.CauseProbesOut)
		}
		if got, want := time.Until(refused.RetryAt), 30*time.Second; got != want {
			t.Errorf("RetryAt is in %v, want %v: when the probes are decided at the latest", got, want)
		}
		wantTotals(t, b, core.Totals{Calls: 3, Failures: 1, Refused: 1, InFlight: 2})
		if got := b.Snapshot().ProbesOut; got != 2 {
			t.Errorf("%d probes are out, want 2", got)
		}
	})
	bubble(t, "36 ignored probes give their places back", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 4, SuccessThreshold: 4})
		for range 3 { // more rounds than there are places
			var out []*core.Permit
			for range 4 {
				out = append(out, take(t, b))
			}
			refusal(t, b)
			for _, p := range out {
				p.Settle(bg, core.Ignored)
			}
			wantState(t, b, core.HalfOpen)
			wantWindow(t, b, core.Counts{})
		}
		succeed(t, b, 4)
		wantState(t, b, core.Closed)
	})
	bubble(t, "the places are counted anew after reopening", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 4})
		var first *core.Permit
		for range 4 {
			first = take(t, b)
		}
		refusal(t, b)
		refusal(t, b)
		first.Settle(bg, core.Failure)
		time.Sleep(time.Second)
		for range 4 {
			take(t, b)
		}
		refusal(t, b)
	})
	bubble(t, "39 no ratio of successes: one failure opens", func(t *testing.T) { // decided: rule 4
		for _, calls := range []string{"F", "SF", "SSF"} {
			b := halfOpened(t, core.Config{SuccessThreshold: 4, HalfOpenMaxCalls: 4})
			play(t, b, calls)
			wantState(t, b, core.Open)
		}
	})
	bubble(t, "a slow probe opens if the rule is on", func(t *testing.T) {
		for _, row := range []struct {
			rate float64
			want core.State
		}{{0.5, core.Open}, {0, core.Closed}, {-1, core.Closed}} {
			b := halfOpened(t, core.Config{SuccessThreshold: 1, SlowAfter: time.Second, SlowRateThreshold: row.rate})
			lasting(t, b, 2*time.Second, core.Success)
			wantState(t, b, row.want)
			if got := b.Snapshot().Cause; row.want == core.Open && got != core.CauseProbeSlow {
				t.Errorf("cause = %v, want %v", got, core.CauseProbeSlow)
			}
		}
	})
	bubble(t, "a probe that is not settled is lost", func(t *testing.T) {
		b := halfOpened(t, core.Config{ProbeTimeout: 10 * time.Second})
		forgotten := take(t, b)
		time.Sleep(10*time.Second - 1)
		wantState(t, b, core.HalfOpen)
		time.Sleep(time.Nanosecond)
		wantState(t, b, core.HalfOpen)
		refused := refusal(t, b) // two places are free, but the dependency has shown no life
		if want := time.Now().Add(time.Second); refused.Cause != core.CauseProbeLost || refused.State != core.HalfOpen || !refused.RetryAt.Equal(want) {
			t.Errorf("refused: %v, %v, retry at %v; want %v, %v, %v", refused.State, refused.Cause, refused.RetryAt, core.HalfOpen, core.CauseProbeLost, want)
		}
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 1, Lost: 1, Refused: 1, InFlight: 1})
		forgotten.Settle(bg, core.Failure)
		wantState(t, b, core.Open)
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 2, Lost: 1, Refused: 1})
	})
	bubble(t, "a trial that hangs does not end the trials", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, SuccessThreshold: 1, ProbeTimeout: 5 * time.Second})
		for range 2 { // each trial hangs for ever
			take(t, b)
			refusal(t, b)
			time.Sleep(6 * time.Second) // ProbeTimeout, and the wait
		}
		for range 20 { // now as many are out as may be: the oldest is given up after 10 min
			refusal(t, b)
			time.Sleep(10 * time.Minute)
			take(t, b)
		}
		time.Sleep(10 * time.Minute)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 24, Successes: 1, Failures: 1, Lost: 22, Refused: 22, InFlight: 22})
	})
	bubble(t, "a full limit before the breaker spends no probe", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1})
		refusal(t, core.All(refusing{}, b))
		if got := b.Snapshot().ProbesOut; got != 0 {
			t.Errorf("%d probes are out, want none", got)
		}
		take(t, b)
	})
	bubble(t, "a full limit behind the breaker gives the probe back", func(t *testing.T) {
		var told diary
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, Hooks: told.hooks()})
		for range 3 {
			refusal(t, core.All(b, refusing{}))
		}
		wantState(t, b, core.HalfOpen)
		wantTotals(t, b, core.Totals{Calls: 4, Failures: 1, Ignored: 3})
		take(t, b)
		wantPath(t, told.transitions, "closed open half-open")
	})
	bubble(t, "a failure forgets the probes that passed", func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 3})
		play(t, b, "SSF")
		time.Sleep(time.Second)
		succeed(t, b, 2)
		wantState(t, b, core.HalfOpen)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
	})
}

// refusing is a gate that is never open, like a full limit.
type refusing struct{}

func (refusing) Allow(context.Context) (core.Permit, error) {
	return core.Permit{}, &core.OpenError{Name: "limit", Cause: core.CauseForcedOpen}
}

func TestHalfOpenDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{})
		fail(t, b, 5)
		time.Sleep(60*time.Second - 1)
		wantState(t, b, core.Open)
		time.Sleep(time.Nanosecond)
		first := take(t, b)
		take(t, b)
		take(t, b)
		refusal(t, b)
		first.Settle(bg, core.Success)
		wantState(t, b, core.HalfOpen)
		take(t, b).Settle(bg, core.Success)
		wantState(t, b, core.Closed)
	})
}

// At the instant a break ends, a crowd gets exactly the probes
// that there are places for.
func TestHalfOpenCrowdAtTheEndOfABreak(t *testing.T) {
	for _, places := range []int{1, 2, 7} {
		synctest.Test(t, func(t *testing.T) {
			b := halfOpened(t, core.Config{HalfOpenMaxCalls: places, SuccessThreshold: 10_000})
			for round := range 200 {
				var admitted atomic.Int64
				var wg sync.WaitGroup
				start := make(chan struct{})
				for range 16 {
					wg.Go(func() {
						<-start
						p, err := b.Allow(bg)
						if err != nil {
							return
						}
						admitted.Add(1)
						time.Sleep(time.Second)
						p.Settle(bg, core.Ignored)
					})
				}
				synctest.Wait()
				close(start)
				wg.Wait()
				if got := int(admitted.Load()); got != places {
					t.Fatalf("round %d: %d of 16 callers got one of %d places", round, got, places)
				}
			}
		})
	}
}

// Two callers that both find a place free, one after the other: one gets it. The
// clock holds the first one up after it has looked.
func TestHalfOpenLastPlaceIsGivenOnce(t *testing.T) {
	var at, reads atomic.Int64
	looked, second, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	reads.Store(math.MinInt32)
	b := newBreaker(t, core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, Timeout: time.Second, Now: func() time.Time {
		switch reads.Add(1) {
		case 2: // the first caller has looked once and is about to take the place
			once.Do(func() { close(looked) })
			<-release
		case 3: // the second caller looks
			close(second)
		}
		return time.Unix(0, at.Load())
	}})
	fail(t, b, 1)
	at.Store(int64(time.Minute))
	settle(t, b, core.Ignored, 1) // half-open
	reads.Store(0)

	var admitted atomic.Int64
	ask := func() {
		if _, err := b.Allow(bg); err == nil {
			admitted.Add(1)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { ask(); once.Do(func() { close(looked) }) })
	<-looked
	wg.Go(ask)
	<-second
	for range 1000 { // let it come as far as it can
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if got := admitted.Load(); got != 1 {
		t.Errorf("%d probes are out, one may be", got)
	}
}

func TestHalfOpenProbesAreLostOneByOne(t *testing.T) {
	bubble(t, "each by its own start", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, ProbeTimeout: 10 * time.Second, SuccessThreshold: 1})
		first := take(t, b)
		time.Sleep(6 * time.Second)
		take(t, b)
		time.Sleep(3 * time.Second)
		first.Settle(bg, core.Ignored)
		time.Sleep(6 * time.Second) // the second is 9 s old, the first would be 15 s
		wantState(t, b, core.HalfOpen)
		if snap := b.Snapshot(); snap.ProbesOut != 1 || snap.ProbesLost != 0 {
			t.Errorf("%d are out and %d lost, want 1 and 0", snap.ProbesOut, snap.ProbesLost)
		}
		time.Sleep(time.Second)
		if snap := b.Snapshot(); snap.ProbesOut != 0 || snap.ProbesLost != 1 {
			t.Errorf("%d are out and %d lost, want 0 and 1", snap.ProbesOut, snap.ProbesLost)
		}
	})
	bubble(t, "when the first is lost, the second still decides", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, ProbeTimeout: 10 * time.Second, SuccessThreshold: 1})
		take(t, b)
		time.Sleep(time.Second)
		second := take(t, b)
		time.Sleep(9 * time.Second)
		second.Settle(bg, core.Success) // the first has just been lost
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 3, Successes: 1, Failures: 1, Lost: 1, InFlight: 1})
	})
	bubble(t, "the wait runs from the loss, not from its discovery, and grows as breaks do", func(t *testing.T) {
		b := halfOpened(t, core.Config{Timeout: 5 * time.Second, TimeoutFactor: 2, ProbeTimeout: 10 * time.Second, SuccessThreshold: 1})
		take(t, b)
		time.Sleep(12 * time.Second)
		for _, want := range []time.Duration{8 * time.Second, 20 * time.Second, 40 * time.Second} {
			if got := time.Until(refusal(t, b).RetryAt); got != want {
				t.Errorf("the next probe goes out in %v, want %v", got, want)
			}
			time.Sleep(want)
			take(t, b)
		}
		time.Sleep(80 * time.Second)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
		wantPath(t, b.Snapshot().Transitions, "closed open half-open closed")
	})
	bubble(t, "the longest ProbeTimeout loses nothing", func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 1, ProbeTimeout: math.MaxInt64, SuccessThreshold: 1})
		p := take(t, b)
		refusal(t, b)
		time.Sleep(time.Hour)
		wantState(t, b, core.HalfOpen)
		p.Settle(bg, core.Success)
		wantState(t, b, core.Closed)
	})
}

// Whatever happens to probes, a breaker finds back within the ProbeTimeout and
// the break: rule 5, nothing can wedge half-open.
func TestHalfOpenNeverWedges(t *testing.T) {
	for name, use := range map[string]func(b *core.Breaker){
		"forgotten": func(b *core.Breaker) { _, _ = b.Allow(bg) },
		"panic": func(b *core.Breaker) {
			defer func() { _ = recover() }()
			_ = b.Do(bg, func(context.Context) error { panic("probe") })
		},
		"Goexit": func(b *core.Breaker) {
			onItsOwn(func() { _ = b.Do(bg, func(context.Context) error { runtime.Goexit(); return nil }) })
		},
		"ignored": func(b *core.Breaker) {
			if p, err := b.Allow(bg); err == nil {
				p.Settle(bg, core.Ignored)
			}
		},
		"reset below it": func(b *core.Breaker) {
			p, err := b.Allow(bg)
			b.Reset()
			if err == nil {
				p.Settle(bg, core.Failure)
			}
		},
		"updated below it": func(b *core.Breaker) {
			p, err := b.Allow(bg)
			_ = b.Update(core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, SuccessThreshold: 1, Timeout: time.Second, ProbeTimeout: time.Second})
			if err == nil {
				p.Settle(bg, core.Failure)
			}
		},
	} {
		bubble(t, name, func(t *testing.T) {
			b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, SuccessThreshold: 1})
			for range 100 {
				use(b)
			}
			time.Sleep(30*time.Second + time.Second)
			succeed(t, b, 1)
			wantState(t, b, core.Closed)
		})
	}
}

func TestHalfOpenWithoutCallersStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 1})
		time.Sleep(1000 * time.Hour)
		wantState(t, b, core.HalfOpen)
		succeed(t, b, 1)
		wantState(t, b, core.Closed)
	})
}

// A refusal tells when the oldest probe that is out is lost, however long the
// breaker has been half-open.
func TestHalfOpenRetryAtIsOfTheOldestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{HalfOpenMaxCalls: 2, SuccessThreshold: 9, ProbeTimeout: time.Minute})
		time.Sleep(time.Hour)
		begin := time.Now()
		out := []*core.Permit{}
		for i, o := range []core.Outcome{core.Ignored, core.Success, core.Ignored, core.Ignored} {
			for len(out) < 2 {
				out = append(out, take(t, b))
				time.Sleep(5 * time.Second)
			}
			refused := refusal(t, b)
			if got, want := refused.RetryAt.Sub(begin), time.Minute+time.Duration(i)*5*time.Second; got != want || refused.Cause != core.CauseProbesOut {
				t.Errorf("%d have come back: %v, RetryAt is %v on, want %v", i, refused.Cause, got, want)
			}
			if refusal(t, b) != refused {
				t.Error("two refusals are two errors, want one")
			}
			out[0].Settle(bg, o)
			out = out[1:]
		}
	})
}
