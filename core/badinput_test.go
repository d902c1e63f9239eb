package core_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Bad input meets a clear error or the documented behaviour, never a panic from
// inside. Config's fields are in config_test.go, overrides in override_test.go.

func TestBadNames(t *testing.T) {
	var r core.Registry
	for what, name := range map[string]string{
		"empty":           "",
		"NUL":             "db\x00",
		"newline":         "db\nlevel=fatal",
		"escape":          "\x1b[31mdb",
		"DEL":             "db\x7f",
		"C1 control":      "db\u0085",
		"invalid UTF-8":   "db\xff",
		"a cut rune":      "caf\xc3",
		"257 bytes":       strings.Repeat("x", 257),
		"a megabyte":      strings.Repeat("x", 1<<20),
		"256 runes, more": strings.Repeat("é", 256),
	} {
		t.Run(what, func(t *testing.T) {
			b, err := core.New(name, core.Config{})
			fault, ok := errors.AsType[*core.ConfigError](err)
			if !ok || b != nil || fault.Field != "name" || fault.Value != name || fault.Allowed == "" {
				t.Fatalf("New = %v, %v; want no breaker and a ConfigError about the name", b, err)
			}
			if text := err.Error(); strings.ContainsAny(text, "\x00\n\x1b\x7f\u0085") || len(text) > 512 {
				t.Errorf("message of %d bytes %.600q, want it short and printable", len(text), text)
			}
			if _, err := r.Get(name); !errors.As(err, &fault) {
				t.Errorf("Registry.Get = %v, want a ConfigError", err)
			}
			if r.Len() != 0 {
				t.Errorf("the registry keeps %d breakers of bad names", r.Len())
			}
		})
	}
	for _, name := range []string{"x", strings.Repeat("x", 256), "api.example.com:443", "名前", "a b\u00a0c", "🔌"} {
		if b, err := core.New(name, core.Config{}); err != nil || b.Name() != name {
			t.Errorf("New(%q) = %v, want a breaker of that name", name, err)
		}
	}
	t.Run("a bad name wins over a bad Config", func(t *testing.T) {
		if _, err := core.New("", core.Config{Jitter: 3}); err == nil {
			t.Error("New = nil error, want one")
		}
	})
}

func TestBadNilFuncs(t *testing.T) {
	b := newBreaker(t, core.Config{FailureThreshold: 1})
	for name, call := range map[string]func() error{
		"Breaker.Do": func() error { return b.Do(bg, nil) },
		"Do":         func() error { _, err := core.Do[int](bg, b, nil); return err },
		"Wrap":       func() error { _, err := core.Wrap[int, int](b, nil)(bg, 1); return err },
		"Do without a gate": func() error {
			_, err := core.Do(bg, nil, func(context.Context) (int, error) { return 1, nil })
			return err
		},
		"Wrap without a gate": func() error {
			_, err := core.Wrap(nil, func(context.Context, int) (int, error) { return 1, nil })(bg, 1)
			return err
		},
		"Do without anything": func() error { _, err := core.Do[int](nil, nil, nil); return err }, //nolint:staticcheck // a nil context
	} {
		if err := call(); err == nil || errors.Is(err, core.ErrOpen) || !strings.Contains(err.Error(), "nil") {
			t.Errorf("%s = %v, want an error about nil that is no refusal", name, err)
		}
	}
	wantTotals(t, b, core.Totals{}) // nothing was asked for
}

func TestBadNilContext(t *testing.T) {
	var none context.Context
	eachDoer(t, core.Config{FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Second, CallTimeout: time.Minute, Hooks: core.Hooks{
		Transition: func(ctx context.Context, _ core.Transition) { ctx.Done() },
		Refused:    func(ctx context.Context, _ *core.OpenError) { ctx.Done() },
		Settled:    func(ctx context.Context, _ core.Settlement) { ctx.Done() },
	}, Classify: func(ctx context.Context, err error) core.Outcome {
		return core.DefaultClassify(context.WithoutCancel(ctx), err)
	}}, func(t *testing.T, b *core.Breaker, do doFunc) {
		if err := do(none, func(ctx context.Context) error { ctx.Done(); return errSick }); !errors.Is(err, errSick) {
			t.Errorf("Do = %v, want the call's error", err)
		}
		p, err := b.Allow(none)
		if err != nil {
			t.Fatalf("Allow = %v, want a permit", err)
		}
		p.Done(none, errSick)
		wantState(t, b, core.Open)
		if _, err := b.Allow(none); !errors.Is(err, core.ErrOpen) {
			t.Errorf("Allow = %v, want ErrOpen", err)
		}
		time.Sleep(time.Second)
		if p, err = b.Allow(none); err != nil {
			t.Fatalf("Allow = %v, want a probe", err)
		}
		p.Settle(none, core.Ignored)
		if p, err = b.Allow(none); err != nil {
			t.Fatalf("Allow = %v, want a probe", err)
		}
		p.Report(none, core.Failure, core.RetryAfter(errSick, time.Minute))
		wantState(t, b, core.Open)
		if got := b.Snapshot().HookPanics; got != 0 {
			t.Errorf("%d hooks panicked, want none: their context is never nil", got)
		}
		s := &spy{}
		q := take(t, core.All(s, core.All()))
		q.Done(none, errSick)
		if len(s.outcomes) != 1 || s.outcomes[0] != core.Failure {
			t.Errorf("settled with %v, want failure", s.outcomes)
		}
	})
}

// The first settlement wins, in every pair of ways to settle, for a call, a
// probe and a late permit.
func TestBadDoubleSettlement(t *testing.T) {
	ways := map[string]func(p *core.Permit){
		"success":     func(p *core.Permit) { p.Settle(bg, core.Success) },
		"failure":     func(p *core.Permit) { p.Settle(bg, core.Failure) },
		"ignored":     func(p *core.Permit) { p.Settle(bg, core.Ignored) },
		"done":        func(p *core.Permit) { p.Done(bg, nil) },
		"done failed": func(p *core.Permit) { p.Done(bg, errSick) },
		"retry after": func(p *core.Permit) { p.Report(bg, core.Failure, core.RetryAfter(errSick, time.Hour)) },
	}
	makes := map[string]func(t *testing.T, told *diary) (*core.Breaker, *core.Permit){
		"a call": func(t *testing.T, told *diary) (*core.Breaker, *core.Permit) {
			b := newBreaker(t, core.Config{FailureThreshold: 2, Hooks: told.hooks()})
			return b, take(t, b)
		},
		"a quick call": func(t *testing.T, _ *diary) (*core.Breaker, *core.Permit) {
			b := newBreaker(t, core.Config{FailureThreshold: 2, Window: core.Window{Calls: 1}})
			succeed(t, b, 2)
			return b, take(t, b)
		},
		"a probe": func(t *testing.T, told *diary) (*core.Breaker, *core.Permit) {
			b := halfOpened(t, core.Config{SuccessThreshold: 2, HalfOpenMaxCalls: 1, Hooks: told.hooks()})
			told.settled = nil
			return b, take(t, b)
		},
		"a late permit": func(t *testing.T, told *diary) (*core.Breaker, *core.Permit) {
			b := newBreaker(t, core.Config{FailureThreshold: 1, Hooks: told.hooks()})
			p := take(t, b)
			trip(t, b)
			told.settled = nil
			return b, p
		},
	}
	for made, build := range makes {
		for first, settleFirst := range ways {
			bubble(t, made+" "+first, func(t *testing.T) {
				var told diary
				b, p := build(t, &told)
				settleFirst(p)
				want, window, state := b.Snapshot().Totals, b.Snapshot().Window, b.State()
				for second, again := range ways {
					again(p)
					again(p)
					if got := b.Snapshot(); got.Totals != want || got.Window != window || b.State() != state || want.InFlight != 0 {
						t.Fatalf("%s after %s changed\n %+v, %+v to\n %+v, %+v", second, first, want, window, got.Totals, got.Window)
					}
				}
				if made != "a quick call" && len(told.settled) != 1 {
					t.Errorf("told of %d settlements, want 1", len(told.settled))
				}
			})
		}
	}
}

// A classifier is not asked again once a permit is settled.
func TestDoneAfterSettleDoesNotClassify(t *testing.T) {
	asked := 0
	b := newBreaker(t, core.Config{Classify: func(context.Context, error) core.Outcome { asked++; return core.Success }})
	p := take(t, b)
	p.Settle(bg, core.Success)
	p.Done(bg, errSick)
	if asked != 0 {
		t.Errorf("Classify was asked %d times, want never", asked)
	}
}

func TestSettlingAfterUpdateResetAndForce(t *testing.T) {
	for name, change := range map[string]func(b *core.Breaker) error{
		"Update":     func(b *core.Breaker) error { return b.Update(core.Config{Window: core.Window{For: time.Minute}}) },
		"Reset":      func(b *core.Breaker) error { b.Reset(); return nil },
		"ForcedOpen": func(b *core.Breaker) error { return b.Force(core.ForcedOpen) },
		"Disabled":   func(b *core.Breaker) error { return b.Force(core.Disabled) },
		"Shadow":     func(b *core.Breaker) error { return b.Force(core.Shadow) },
	} {
		for _, state := range []core.State{core.Closed, core.HalfOpen} {
			bubble(t, name+" "+state.String(), func(t *testing.T) {
				b := inState(t, state, core.Config{FailureThreshold: 5, SuccessThreshold: 5, HalfOpenMaxCalls: 9})
				before := b.Snapshot().Totals
				out := []*core.Permit{take(t, b), take(t, b), take(t, b), take(t, b)}
				if err := change(b); err != nil {
					t.Fatal(err)
				}
				out[0].Settle(bg, core.Success)
				out[1].Settle(bg, core.Ignored)
				out[2].Done(bg, nil)
				out[3].Settle(bg, core.Failure)
				got := b.Snapshot().Totals
				if got.InFlight != 0 || got.Successes != before.Successes+2 || got.Failures != before.Failures+1 || got.Ignored != 1 {
					t.Errorf("totals %+v, were %+v; want 2 successes, 1 failure, 1 ignored more and none in flight", got, before)
				}
			})
		}
	}
}

func TestBadRegistry(t *testing.T) {
	t.Run("a bad Config is an error, and nothing is kept", func(t *testing.T) {
		r := core.Registry{Config: func(name string) core.Config {
			if name == "good" {
				return core.Config{}
			}
			return core.Config{Timeout: -1}
		}}
		if b, err := r.Get("bad"); b != nil || !strings.Contains(fmt.Sprint(err), "Timeout is -1ns") {
			t.Errorf("Get = %v, %v; want the Config's fault", b, err)
		}
		get(t, &r, "good")
		if got := names(&r); len(got) != 1 {
			t.Errorf("the registry keeps %v, want good alone", got)
		}
	})
	t.Run("a Config func that panics leaves the registry usable", func(t *testing.T) {
		r := core.Registry{Config: func(name string) core.Config {
			if name == "bad" {
				panic("config")
			}
			return core.Config{}
		}}
		func() {
			defer func() {
				if got := recover(); got != "config" {
					t.Errorf("recovered %v, want the func's panic", got)
				}
			}()
			_, _ = r.Get("bad")
		}()
		get(t, &r, "good")
		func() {
			defer func() { _ = recover() }()
			_ = r.Update(func(string) core.Config { panic("update") })
		}()
		get(t, &r, "better") // would hang if the lock were held
	})
	bubble(t, "the longest Idle", func(t *testing.T) {
		r := core.Registry{Idle: math.MaxInt64}
		get(t, &r, "a")
		time.Sleep(1000 * time.Hour)
		get(t, &r, "b")
		if r.Len() != 2 {
			t.Errorf("%d breakers, want 2", r.Len())
		}
	})
	t.Run("methods of a registry that was never asked", func(t *testing.T) {
		var r core.Registry
		if r.Len() != 0 || len(names(&r)) != 0 || r.Stats().Breakers != 0 {
			t.Error("an empty registry is not empty")
		}
	})
}

// A clock of the user's may do what it likes.
func TestBadClock(t *testing.T) {
	for name, at := range map[string]time.Time{
		"the zero time": {}, "far future": time.Unix(1<<40, 0), "far past": time.Unix(-1<<40, 0),
	} {
		t.Run(name, func(t *testing.T) {
			clock := newFakeClock()
			b := newBreaker(t, core.Config{
				FailureThreshold: 2, SuccessThreshold: 1, Timeout: time.Second, RampUp: time.Second, Now: clock.now,
				Durations: true, SlowAfter: time.Second, History: time.Minute, Window: core.Window{For: time.Second},
			})
			for range 3 {
				for _, now := range []time.Time{clock.at, at, newFakeClock().at} {
					clock.at = now
					for _, err := range []error{errSick, errSick, nil} {
						_ = b.Do(bg, func(context.Context) error { return err })
					}
					_, _, _ = b.Snapshot(), b.Health(), b.Explain()
					_ = b.State()
				}
			}
			clock.at = newFakeClock().at
			b.Reset()
			fail(t, b, 2)
			wantState(t, b, core.Open)
		})
	}
}

// A clock that is set back holds the probes and the waits up until it has caught
// up; a call that comes meanwhile is refused and does not look at it again and again.
func TestBadClockThatStepsBackWhileHalfOpen(t *testing.T) {
	for want, first := range map[core.Cause]func(*testing.T, *core.Breaker, *fakeClock){
		core.CauseProbesOut: func(*testing.T, *core.Breaker, *fakeClock) {},
		core.CauseProbeLost: func(t *testing.T, b *core.Breaker, clock *fakeClock) {
			clock.advance(30 * time.Second)
			refusal(t, b)
		},
	} {
		t.Run(want.String(), func(t *testing.T) {
			clock, readings := newFakeClock(), 0
			b := newBreaker(t, core.Config{FailureThreshold: 1, HalfOpenMaxCalls: 1, SuccessThreshold: 1, Now: func() time.Time {
				if readings++; readings > 100 {
					t.Fatal("it reads the clock again and again")
				}
				return clock.at
			}})
			fail(t, b, 1)
			clock.advance(time.Minute)
			p := take(t, b)
			first(t, b, clock)
			for range 10 {
				readings = 0
				clock.advance(-5 * time.Second)
				if got := refusal(t, b).Cause; got != want {
					t.Fatalf("refused because of %v, want %v", got, want)
				}
			}
			readings = 0
			p.Settle(bg, core.Success)
			wantState(t, b, core.Closed)
		})
	}
}

// A clock that panics while a failure opens the breaker loses that failure and
// nothing else.
func TestBadClockThatPanics(t *testing.T) {
	for name, cfg := range map[string]core.Config{
		"in a row": {FailureThreshold: 2},
		"a rate":   {FailureThreshold: -1, FailureRateThreshold: 0.5, MinimumCalls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func() {
				sick := false
				cfg.Now = func() time.Time {
					if sick {
						panic("clock")
					}
					return newFakeClock().at
				}
				b := newBreaker(t, cfg)
				fail(t, b, 1)
				p := take(t, b)
				func() {
					defer func() {
						if got := recover(); got != "clock" {
							t.Errorf("recovered %v, want the clock's panic", got)
						}
					}()
					sick = true
					p.Settle(bg, core.Failure)
				}()
				sick = false
				wantState(t, b, core.Closed)
				wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
				fail(t, b, 1)
				wantState(t, b, core.Open)
				refusal(t, b)
			})
		})
	}
}

// A clock that panics leaves no lock behind: what comes after it goes on.
func TestAClockThatPanicsLeavesNoLock(t *testing.T) {
	for name, use := range map[string]func(b *core.Breaker){
		"Allow":       func(b *core.Breaker) { _, _ = b.Allow(bg) },
		"Snapshot":    func(b *core.Breaker) { _ = b.Snapshot() },
		"State":       func(b *core.Breaker) { _ = b.State() },
		"Explain":     func(b *core.Breaker) { _ = b.Explain() },
		"Health":      func(b *core.Breaker) { _ = b.Health() },
		"Force":       func(b *core.Breaker) { _ = b.Force(core.ForcedOpen) },
		"Release":     (*core.Breaker).Release,
		"Reset":       (*core.Breaker).Reset,
		"Update":      func(b *core.Breaker) { _ = b.Update(core.Config{Window: core.Window{For: time.Minute}}) },
		"CheckHealth": func(b *core.Breaker) { _ = b.CheckHealth(bg, func(context.Context) error { return nil }) },
	} {
		for _, state := range everyState {
			bubble(t, name+", "+state.String(), func(t *testing.T) {
				sick := false
				b := inState(t, state, core.Config{Now: func() time.Time {
					if sick {
						panic("no time")
					}
					return time.Now()
				}})
				p := take(t, core.All()) // of no breaker
				if state != core.Open {
					p = take(t, b)
				}
				sick = true
				for _, f := range []func(){func() { use(b) }, func() { p.Settle(bg, core.Failure) }} {
					func() {
						defer func() { _ = recover() }()
						f()
					}()
				}
				sick = false
				_, _ = b.Snapshot(), b.Explain()
				b.Reset()
				succeed(t, b, 1)
			})
		}
	}
}
