package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A hook that panics, ends its goroutine, calls back or takes its
// time loses no event and stops no call.
func TestHooksThatMisbehave(t *testing.T) {
	for name, misbehave := range map[string]func(b *core.Breaker){
		"panic":      func(*core.Breaker) { panic("hook") },
		"panic nil":  func(*core.Breaker) { panic(nil) }, //nolint:govet // on purpose
		"Goexit":     func(*core.Breaker) { runtime.Goexit() },
		"calls back": func(b *core.Breaker) { _, _, _, _ = b.State(), b.Snapshot(), b.Health(), b.Explain() },
	} {
		for _, which := range []string{"Transition", "Refused", "Settled"} {
			bubble(t, which+" "+name, func(t *testing.T) {
				var told diary
				var b *core.Breaker
				hooks := told.hooks()
				transition, refused, settled := hooks.Transition, hooks.Refused, hooks.Settled
				bad := func(of string) {
					if of == which {
						misbehave(b)
					}
				}
				hooks.Transition = func(ctx context.Context, tr core.Transition) { transition(ctx, tr); bad("Transition") }
				hooks.Refused = func(ctx context.Context, err *core.OpenError) { refused(ctx, err); bad("Refused") }
				hooks.Settled = func(ctx context.Context, s core.Settlement) { settled(ctx, s); bad("Settled") }
				b = newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second, Hooks: hooks})
				each := func(f func()) { // on its own goroutine, which a hook may end
					var wg sync.WaitGroup
					wg.Go(f)
					wg.Wait()
				}
				each(func() { _ = b.Do(bg, func(context.Context) error { return errSick }) })
				wantState(t, b, core.Open)
				each(func() { _, _ = b.Allow(bg) })
				time.Sleep(time.Second)
				each(func() { _ = b.Do(bg, func(context.Context) error { return nil }) })
				each(func() { _ = b.Do(bg, func(context.Context) error { return nil }) }) // Goexit in the probe's Allow lost its permit
				if which == "Transition" && name == "Goexit" {
					time.Sleep(time.Minute)
					for range 3 {
						each(func() { _ = b.Do(bg, func(context.Context) error { return nil }) })
					}
				}
				if len(told.settled) < 2 || len(told.refused) < 1 || len(told.transitions) < 3 || told.transitions[0].Seq != 1 || told.transitions[len(told.transitions)-1].Seq != uint64(len(told.transitions)) {
					t.Errorf("told %d settlements, %d refusals, %v; want all of them", len(told.settled), len(told.refused), told.transitions)
				}
				wantPath(t, told.transitions[:2], "closed open half-open")
				snap := b.Snapshot()
				panics := snap.HookPanics > 0
				if want := name == "panic" || name == "panic nil"; panics != want {
					t.Errorf("%d hook panics counted, want some: %t", snap.HookPanics, want)
				}
				if snap.EventsDropped != 0 {
					t.Errorf("%d events dropped, want none", snap.EventsDropped)
				}
			})
		}
	}
	bubble(t, "slow", func(t *testing.T) {
		var told diary
		hooks := told.hooks()
		hooks.Settled = func(context.Context, core.Settlement) { time.Sleep(time.Hour) }
		b := newBreaker(t, core.Config{FailureThreshold: 3, Hooks: hooks})
		var wg sync.WaitGroup
		wg.Go(func() { fail(t, b, 1) })
		synctest.Wait()
		before := time.Now()
		fail(t, b, 2)
		refusal(t, b)
		if waited := time.Since(before); waited != 0 {
			t.Errorf("others waited %v for a slow hook, want not at all", waited)
		}
		wg.Wait()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		wantPath(t, told.transitions, "closed open")
	})
}

// A hook may use the breaker; what that causes is told after it returned.
func TestHooksReenter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *core.Breaker
		var lines []string
		depth := 0
		b = newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Second, Hooks: core.Hooks{
			Transition: func(_ context.Context, tr core.Transition) {
				depth++
				lines = append(lines, fmt.Sprintf("%d %v", depth, tr.To))
				if tr.To == core.Open && tr.Seq == 1 {
					b.Reset()
					if p, err := b.Allow(bg); err == nil {
						p.Settle(bg, core.Failure)
					}
				}
				depth--
			},
		}})
		fail(t, b, 1)
		if got, want := fmt.Sprint(lines), "[1 open 1 closed 1 open]"; got != want {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// A transition carries the counts that caused it and the context
// of the call.
func TestHooksTransitionFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var told diary
		var ctxs []any
		hooks := told.hooks()
		keep := hooks.Transition
		hooks.Transition = func(ctx context.Context, tr core.Transition) {
			ctxs = append(ctxs, ctx.Value(key{}))
			keep(ctx, tr)
		}
		b, err := core.New("db", core.Config{FailureThreshold: 3, SuccessThreshold: 1, Timeout: time.Minute, SlowAfter: time.Second, Hooks: hooks})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		play(t, b, "SSFF")
		p := take(t, b)
		time.Sleep(2 * time.Second)
		p.Settle(context.WithValue(bg, key{}, "opens"), core.Failure)
		time.Sleep(2 * time.Minute)
		late, err := b.Allow(context.WithValue(bg, key{}, "meets"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		late.Settle(context.WithValue(bg, key{}, "closes"), core.Success)

		at := func(s time.Duration) time.Time { return begin.Add(s * time.Second) }
		want := []core.Transition{
			{Name: "db", Seq: 1, From: core.Closed, To: core.Open, Cause: core.CauseConsecutiveFailures, At: at(2), RetryAt: at(62), Opens: 1, Counts: core.Counts{Calls: 5, Failures: 3, Slow: 1, Consecutive: 3}},
			{Name: "db", Seq: 2, From: core.Open, To: core.HalfOpen, Cause: core.CauseTimeoutElapsed, At: at(62), Opens: 1},
			{Name: "db", Seq: 3, From: core.HalfOpen, To: core.Closed, Cause: core.CauseProbesPassed, At: at(123), Counts: core.Counts{Calls: 1, Consecutive: 1}},
		}
		if len(told.transitions) != len(want) {
			t.Fatalf("told %+v, want %d transitions", told.transitions, len(want))
		}
		for i, got := range told.transitions {
			if !got.At.Equal(want[i].At) || !got.RetryAt.Equal(want[i].RetryAt) {
				t.Errorf("transition %d at %v, RetryAt %v; want %v, %v", i+1, got.At, got.RetryAt, want[i].At, want[i].RetryAt)
			}
			got.At, got.RetryAt = want[i].At, want[i].RetryAt
			if got != want[i] {
				t.Errorf("transition %d\n %+v, want\n %+v", i+1, got, want[i])
			}
		}
		if got := fmt.Sprint(ctxs); got != "[opens meets closes]" {
			t.Errorf("contexts of %v, want those of the calls that opened, met and closed", got)
		}
	})
}

// A transition to open carries what the call that caused it returned, if it was
// told, and says its reason with the numbers.
func TestHooksTransitionErrAndReason(t *testing.T) {
	for _, row := range []struct {
		name   string
		cfg    core.Config
		story  func(t *testing.T, b *core.Breaker)
		err    error
		reason string
	}{
		{"Done", core.Config{FailureThreshold: 1}, func(t *testing.T, b *core.Breaker) { take(t, b).Done(bg, errSick) }, errSick, "consecutive failures (1)"},
		{"Do", core.Config{FailureThreshold: 1}, func(_ *testing.T, b *core.Breaker) {
			_ = b.Do(bg, func(context.Context) error { return errSick })
		}, errSick, "consecutive failures (1)"},
		{"Settle", core.Config{FailureThreshold: 2}, func(t *testing.T, b *core.Breaker) { fail(t, b, 2) }, nil, "consecutive failures (2)"},
		{"a rate", core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 4}, func(t *testing.T, b *core.Breaker) {
			play(t, b, "SSF")
			take(t, b).Done(bg, errSick)
		}, errSick, "failure rate (50 %, 2 of 4 calls)"},
		{"slow calls", core.Config{SlowRateThreshold: 0.5, SlowAfter: time.Second, MinimumCalls: 2}, func(t *testing.T, b *core.Breaker) {
			succeed(t, b, 1)
			lasting(t, b, 2*time.Second, core.Success)
		}, nil, "slow-call rate (50 %, 1 of 2 calls)"},
		{"a probe", core.Config{FailureThreshold: 1, Timeout: time.Second}, func(t *testing.T, b *core.Breaker) {
			fail(t, b, 1)
			time.Sleep(time.Second)
			take(t, b).Done(bg, errSick)
		}, errSick, "a probe failed"},
	} {
		bubble(t, row.name, func(t *testing.T) {
			b := newBreaker(t, row.cfg)
			row.story(t, b)
			transitions := b.Snapshot().Transitions
			last := transitions[len(transitions)-1]
			if last.To != core.Open || !errors.Is(last.Err, row.err) || (last.Err == nil) != (row.err == nil) || last.Reason() != row.reason {
				t.Errorf("to %v, error %v, reason %q; want open, %v, %q", last.To, last.Err, last.Reason(), row.err, row.reason)
			}
		})
	}
}

func TestHooksSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: 2, SuccessThreshold: 1, HalfOpenMaxCalls: 2, Timeout: time.Second, SlowAfter: time.Second, CallTimeout: 5 * time.Second, Hooks: told.hooks()})
		early := take(t, b)
		_ = b.Do(bg, func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		_ = b.Do(bg, func(ctx context.Context) error { <-ctx.Done(); return nil })
		_ = b.Do(bg, func(context.Context) error { return errSick })
		early.Settle(bg, core.Success)
		time.Sleep(time.Second)
		take(t, b).Settle(bg, core.Ignored)
		take(t, b).Done(bg, nil)
		want := []core.Settlement{
			{Name: "test", Outcome: core.Success, Duration: 2 * time.Second, Slow: true},
			{Name: "test", Outcome: core.Failure, Duration: 5 * time.Second, Slow: true, TimedOut: true},
			{Name: "test", Outcome: core.Failure, Err: errSick},
			{Name: "test", Outcome: core.Success, Duration: 7 * time.Second, Slow: true, Late: true},
			{Name: "test", Outcome: core.Ignored, Probe: true},
			{Name: "test", Outcome: core.Success, Probe: true},
		}
		if len(told.settled) != len(want) {
			t.Fatalf("told %+v, want %d settlements", told.settled, len(want))
		}
		for i, got := range told.settled {
			want[i].Seq = uint64(i + 1)
			if got != want[i] {
				t.Errorf("settlement %d\n %+v, want\n %+v", i+1, got, want[i])
			}
		}
	})
}

func TestHooksRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		b := newBreaker(t, core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, Timeout: time.Second, Hooks: told.hooks()})
		fail(t, b, 1)
		refused := []*core.OpenError{refusal(t, b), refusal(t, b)}
		time.Sleep(time.Second)
		take(t, b)
		refused = append(refused, refusal(t, b))
		force(t, b, core.ForcedOpen)
		refused = append(refused, refusal(t, b))
		if len(told.refused) != 4 {
			t.Fatalf("told of %d refusals, want 4", len(told.refused))
		}
		for i, got := range told.refused {
			if got != refused[i] {
				t.Errorf("refusal %d told as %v, want the caller's own error, %v", i+1, got, refused[i])
			}
		}
	})
}

// Hooks queue behind a slow one up to a limit; what does not fit is counted.
func TestHooksFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settled := 0
		first := true
		b := newBreaker(t, core.Config{FailureThreshold: -1, Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) {
			settled++
			if first {
				first = false
				time.Sleep(time.Hour)
			}
		}}})
		var wg sync.WaitGroup
		wg.Go(func() { succeed(t, b, 1) })
		synctest.Wait()
		succeed(t, b, 5000)
		wg.Wait()
		synctest.Wait() // for the goroutine that runs the rest
		dropped := b.Snapshot().EventsDropped
		if dropped != 5000-1024 || settled != 1+1024 {
			t.Errorf("%d told, %d dropped; want 1025 and 3976", settled, dropped)
		}
		succeed(t, b, 10)
		if settled != 1035 {
			t.Errorf("%d told after the flood, want ten more", settled)
		}
	})
}

// A caller that runs the hooks of all is held for 100 ms and the hook that is
// running at most, whatever is queued and however steadily events come; a
// goroutine runs the rest, in order and one at a time, and ends.
func TestHooksLetTheirCallerGo(t *testing.T) {
	const calls = 3000
	for _, hook := range []time.Duration{time.Millisecond, 60 * time.Millisecond, 3 * time.Second} {
		for name, call := range map[string]func(b *core.Breaker){
			"settlements": func(b *core.Breaker) { _ = b.Do(bg, func(context.Context) error { return nil }) },
			"transitions": func(b *core.Breaker) { _ = b.Do(bg, func(context.Context) error { return errSick }); b.Reset() },
			"overrides":   func(b *core.Breaker) { _ = b.Force(core.ForcedOpen); b.Release() },
			"refusals":    func(b *core.Breaker) { _ = b.Force(core.ForcedOpen); _, _ = b.Allow(bg) },
			"Goexit": func(b *core.Breaker) {
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = b.Do(context.WithValue(bg, lateNoteKey{}, true), func(context.Context) error { return nil })
				}()
				<-ended
			},
		} {
			bubble(t, name+", "+hook.String(), func(t *testing.T) {
				running, events := 0, 0
				seq := uint64(0)
				slow := func() {
					if running++; running > 1 {
						t.Error("two hooks run at once")
					}
					events++
					time.Sleep(hook)
					running--
				}
				b := newBreaker(t, core.Config{FailureThreshold: 1, Logger: slog.New(slowLog{slow}), Hooks: core.Hooks{
					Refused: func(context.Context, *core.OpenError) { slow() },
					Settled: func(ctx context.Context, _ core.Settlement) {
						slow()
						if ctx.Value(lateNoteKey{}) != nil {
							runtime.Goexit()
						}
					},
					Transition: func(_ context.Context, tr core.Transition) {
						if tr.Seq <= seq {
							t.Errorf("transition %d after %d", tr.Seq, seq)
						}
						seq = tr.Seq
						slow()
					},
				}})
				for range calls {
					start := time.Now()
					call(b)
					// Each call can meet two deliveries, such as of the settlement and the reset.
					if took := time.Since(start); took > 2*(100*time.Millisecond+hook) {
						t.Fatalf("a call was held for %v by hooks of %v", took, hook)
					}
				}
				time.Sleep(3 * 1024 * hook)
				synctest.Wait()
				if got := int(b.Snapshot().EventsDropped) + events; got < calls || events < min(calls, 1024) {
					t.Errorf("%d told, %d told or dropped", events, got)
				}
				before := events
				call(b)
				time.Sleep(10 * hook)
				synctest.Wait()
				if events == before {
					t.Error("nothing is told once the queue was empty")
				}
			})
		}
	}
}

// Hooks that all call Goexit do not make the stack of the goroutine that runs them
// grow with their number.
func TestHooksThatGoexitKeepNoStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pc [4096]uintptr
		deepest, told := 0, 0
		b := newBreaker(t, core.Config{FailureThreshold: -1, Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) {
			if told++; told == 1 {
				time.Sleep(time.Second) // so that a goroutine runs the rest
				return
			}
			deepest = max(deepest, runtime.Callers(0, pc[:]))
			runtime.Goexit()
		}}})
		go func() { _ = b.Do(bg, func(context.Context) error { return nil }) }()
		synctest.Wait()
		succeed(t, b, 1000)
		time.Sleep(time.Second)
		synctest.Wait()
		if told != 1001 || deepest > 100 {
			t.Errorf("%d hooks were run, the stack was %d calls deep; want 1001, at most 100", told, deepest)
		}
	})
}

// slowLog is a slog.Handler that takes its time.
type slowLog struct{ told func() }

func (slowLog) Enabled(context.Context, slog.Level) bool    { return true }
func (l slowLog) Handle(context.Context, slog.Record) error { l.told(); return nil }
func (l slowLog) WithAttrs([]slog.Attr) slog.Handler        { return l }
func (l slowLog) WithGroup(string) slog.Handler             { return l }

// Events of calls give way to transitions, and only transitions to none.
func TestHooksDropEventsOfCallsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told diary
		held := true
		hooks := told.hooks()
		settled := 0
		hooks.Settled = func(context.Context, core.Settlement) {
			settled++
			if held {
				held = false
				time.Sleep(time.Hour)
			}
		}
		b := newBreaker(t, core.Config{FailureThreshold: -1, Hooks: hooks})
		go func() { _ = b.Do(bg, func(context.Context) error { return nil }) }()
		synctest.Wait()
		succeed(t, b, 2000)
		update(t, b, core.Config{FailureThreshold: 1, Hooks: hooks})
		for range 300 {
			fail(t, b, 1)
			b.Reset()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(told.transitions); n != 600 || settled != 1+1024-600 {
			t.Errorf("told of %d transitions and %d settlements, want 600 and 425", n, settled)
		}
		if got := b.Snapshot().EventsDropped; got != 2000+300-(1024-600) {
			t.Errorf("%d dropped, want %d", got, 2000+300-(1024-600))
		}
	})
}
