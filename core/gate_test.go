package core_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// spy is a gate that is no breaker: it counts its permits and what became of them.
type spy struct {
	asked    int
	outcomes []core.Outcome
	ctxs     []context.Context
}

func (s *spy) Allow(context.Context) (core.Permit, error) {
	s.asked++
	return core.NewPermit(func(ctx context.Context, o core.Outcome) {
		s.outcomes = append(s.outcomes, o)
		s.ctxs = append(s.ctxs, ctx)
	}), nil
}

type panicking struct{}

func (panicking) Allow(context.Context) (core.Permit, error) { panic("gate") }

func TestNewPermit(t *testing.T) {
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	for _, row := range []struct {
		name   string
		settle func(p *core.Permit)
		want   core.Outcome
	}{
		{"Settle success", func(p *core.Permit) { p.Settle(bg, core.Success) }, core.Success},
		{"Settle failure", func(p *core.Permit) { p.Settle(bg, core.Failure) }, core.Failure},
		{"Settle ignored", func(p *core.Permit) { p.Settle(bg, core.Ignored) }, core.Ignored},
		{"Settle garbage", func(p *core.Permit) { p.Settle(bg, 0) }, core.Failure},
		{"Done nil", func(p *core.Permit) { p.Done(bg, nil) }, core.Success},
		{"Done error", func(p *core.Permit) { p.Done(bg, errSick) }, core.Failure},
		{"Done refused", func(p *core.Permit) { p.Done(bg, core.ErrOpen) }, core.Ignored},
		{"Done cancelled", func(p *core.Permit) { p.Done(cancelled, errSick) }, core.Ignored},
		{"RetryAfter", func(p *core.Permit) { p.Report(bg, core.Failure, core.RetryAfter(errSick, time.Second)) }, core.Failure},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &spy{}
			p := take(t, s)
			row.settle(p)
			p.Settle(bg, core.Success) // later settlements do nothing
			p.Settle(bg, core.Ignored)
			p.Done(bg, errSick)
			p.Report(bg, core.Failure, core.RetryAfter(errSick, time.Second))
			if len(s.outcomes) != 1 || s.outcomes[0] != row.want {
				t.Errorf("settled with %v, want %v once", s.outcomes, row.want)
			}
		})
	}
	t.Run("nil settle and zero permit do nothing", func(t *testing.T) {
		none, zero := core.NewPermit(nil), core.Permit{}
		for _, p := range []*core.Permit{&none, &zero} {
			p.Done(bg, errSick)
			p.Settle(bg, core.Failure)
			p.Report(bg, core.Failure, core.RetryAfter(errSick, time.Hour))
		}
	})
	t.Run("behind Do", func(t *testing.T) {
		s := &spy{}
		_, _ = core.Do(bg, s, func(context.Context) (int, error) { return 0, errSick })
		func() {
			defer func() { _ = recover() }()
			_, _ = core.Do(bg, s, func(context.Context) (int, error) { panic("call") })
		}()
		if len(s.outcomes) != 2 || s.outcomes[0] != core.Failure || s.outcomes[1] != core.Failure {
			t.Errorf("settled with %v, want two failures", s.outcomes)
		}
	})
}

func TestAll(t *testing.T) {
	bubble(t, "every gate is asked and every permit settled", func(t *testing.T) {
		a, b, s := newBreaker(t, core.Config{}), newBreaker(t, core.Config{}), &spy{}
		all := core.All(a, s, b)
		for _, o := range []core.Outcome{core.Success, core.Failure, core.Ignored} {
			take(t, all).Settle(bg, o)
		}
		want := core.Totals{Calls: 3, Successes: 1, Failures: 1, Ignored: 1}
		wantTotals(t, a, want)
		wantTotals(t, b, want)
		if len(s.outcomes) != 3 {
			t.Errorf("the third gate was settled with %v, want three outcomes", s.outcomes)
		}
	})
	bubble(t, "a refusal gives the earlier permits back", func(t *testing.T) {
		a, s, later := newBreaker(t, core.Config{}), &spy{}, &spy{}
		shut := opened(t, core.Config{})
		all := core.All(a, s, shut, later)
		if got, want := refusal(t, all), refusal(t, shut); got != want {
			t.Errorf("refused with %v, want that of the gate that refused, %v", got, want)
		}
		wantTotals(t, a, core.Totals{Calls: 1, Ignored: 1})
		wantWindow(t, a, core.Counts{})
		if len(s.outcomes) != 1 || s.outcomes[0] != core.Ignored || later.asked != 0 {
			t.Errorf("the gate before was settled with %v, the one behind asked %d times; want ignored once, and 0", s.outcomes, later.asked)
		}
	})
	bubble(t, "each breaker classifies for itself", func(t *testing.T) {
		ignores := newBreaker(t, core.Config{Classify: func(context.Context, error) core.Outcome { return core.Ignored }})
		praises := newBreaker(t, core.Config{Classify: func(context.Context, error) core.Outcome { return core.Success }})
		fails, s := newBreaker(t, core.Config{}), &spy{}
		_, err := core.Do(bg, core.All(ignores, praises, fails, s), func(context.Context) (int, error) { return 0, errSick })
		if !errors.Is(err, errSick) {
			t.Fatalf("Do = %v, want the call's error", err)
		}
		wantTotals(t, ignores, core.Totals{Calls: 1, Ignored: 1})
		wantTotals(t, praises, core.Totals{Calls: 1, Successes: 1})
		wantTotals(t, fails, core.Totals{Calls: 1, Failures: 1})
		if len(s.outcomes) != 1 || s.outcomes[0] != core.Failure {
			t.Errorf("a gate that is no breaker was settled with %v, want failure", s.outcomes)
		}
	})
	bubble(t, "the not-before reaches every breaker", func(t *testing.T) {
		for name, settleIt := range map[string]func(p *core.Permit){
			"error":  func(p *core.Permit) { p.Done(bg, core.RetryAfter(errSick, 2*time.Minute)) },
			"answer": func(p *core.Permit) { p.Report(bg, core.Failure, core.RetryAfter(errSick, 2*time.Minute)) },
		} {
			cfg := core.Config{FailureThreshold: 1, Timeout: time.Minute}
			a, b := newBreaker(t, cfg), newBreaker(t, cfg)
			settleIt(take(t, core.All(a, b)))
			if got, also := breakOf(t, a), breakOf(t, b); got != 2*time.Minute || also != 2*time.Minute {
				t.Errorf("%s: breaks of %v and %v, want 2m", name, got, also)
			}
		}
	})
	bubble(t, "settling twice settles once", func(t *testing.T) {
		a, s := newBreaker(t, core.Config{}), &spy{}
		p := take(t, core.All(a, s))
		p.Done(bg, nil)
		p.Done(bg, errSick)
		p.Settle(bg, core.Failure)
		p.Report(bg, core.Failure, core.RetryAfter(errSick, time.Hour))
		wantTotals(t, a, core.Totals{Calls: 1, Successes: 1})
		if len(s.outcomes) != 1 {
			t.Errorf("settled with %v, want success once", s.outcomes)
		}
	})
	bubble(t, "no gates admit everything", func(t *testing.T) {
		p := take(t, core.All())
		p.Done(bg, errSick)
	})
	bubble(t, "one gate is that gate", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 1})
		fail(t, core.All(b), 1)
		wantState(t, b, core.Open)
	})
	bubble(t, "a nil gate refuses and says so", func(t *testing.T) {
		a := newBreaker(t, core.Config{})
		for _, g := range []core.Gate{core.All(a, nil), core.All(nil, a), core.All(nil)} {
			_, err := g.Allow(bg)
			if err == nil || !strings.Contains(err.Error(), "nil Gate") || errors.Is(err, core.ErrOpen) {
				t.Errorf("Allow = %v, want an error about a nil Gate that is no refusal", err)
			}
		}
		wantTotals(t, a, core.Totals{Calls: 1, Ignored: 1})
	})
	bubble(t, "a panicking gate leaves no permit out", func(t *testing.T) {
		a := newBreaker(t, core.Config{})
		func() {
			defer func() {
				if got := recover(); got != "gate" {
					t.Errorf("recovered %v, want the gate's panic", got)
				}
			}()
			_, _ = core.All(a, panicking{}).Allow(bg)
		}()
		wantTotals(t, a, core.Totals{Calls: 1, Ignored: 1})
	})
	bubble(t, "a hook that ends the goroutine leaves no permit out", func(t *testing.T) {
		exits := core.Config{Hooks: core.Hooks{Settled: func(context.Context, core.Settlement) { runtime.Goexit() }}}
		first, bad, worse, last := newBreaker(t, core.Config{}), newBreaker(t, exits), newBreaker(t, exits), newBreaker(t, core.Config{})
		s := &spy{}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := core.All(first, bad, s, worse, last, refusing{}).Allow(bg)
			t.Errorf("Allow = %v, want the hook to end its goroutine", err)
		})
		wg.Wait()
		for _, b := range []*core.Breaker{first, bad, worse, last} {
			wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
		}
		if len(s.outcomes) != 1 || s.outcomes[0] != core.Ignored {
			t.Errorf("the gate between was settled with %v, want ignored once", s.outcomes)
		}
	})
	bubble(t, "the gates are copied", func(t *testing.T) {
		a, b := newBreaker(t, core.Config{}), &spy{}
		gates := []core.Gate{a, b}
		all := core.All(gates...)
		gates[0] = nil
		take(t, all).Done(bg, nil)
		wantTotals(t, a, core.Totals{Calls: 1, Successes: 1})
	})
	bubble(t, "all in all", func(t *testing.T) {
		a, b, s := newBreaker(t, core.Config{}), newBreaker(t, core.Config{}), &spy{}
		take(t, core.All(core.All(a, s), core.All(b, core.All()))).Done(bg, errSick)
		wantTotals(t, a, core.Totals{Calls: 1, Failures: 1})
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
		if len(s.outcomes) != 1 || s.outcomes[0] != core.Failure {
			t.Errorf("the gate within was settled with %v, want failure once", s.outcomes)
		}
	})
	bubble(t, "the shortest CallTimeout holds, for all", func(t *testing.T) {
		hour, second, none := newBreaker(t, core.Config{CallTimeout: time.Hour}), newBreaker(t, core.Config{CallTimeout: time.Second}), newBreaker(t, core.Config{})
		start := time.Now()
		_, err := core.Do(bg, core.All(hour, none, second), func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil })
		if took := time.Since(start); err != nil || took != time.Second {
			t.Errorf("the call returned %v after %v, want nil after 1s", err, took)
		}
		for _, b := range []*core.Breaker{hour, second, none} {
			wantTotals(t, b, core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
		}
	})
	bubble(t, "a settle func that panics takes no other settlement with it", func(t *testing.T) {
		a, b := newBreaker(t, core.Config{}), newBreaker(t, core.Config{})
		bad := gateFunc(func(context.Context) (core.Permit, error) {
			return core.NewPermit(func(context.Context, core.Outcome) { panic("settle") }), nil
		})
		func() {
			defer func() {
				if got := recover(); got != "settle" {
					t.Errorf("recovered %v, want the settle func's panic", got)
				}
			}()
			take(t, core.All(a, bad, b)).Done(bg, nil)
		}()
		wantTotals(t, a, core.Totals{Calls: 1, Successes: 1})
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
}

type gateFunc func(context.Context) (core.Permit, error)

func (f gateFunc) Allow(ctx context.Context) (core.Permit, error) { return f(ctx) }

// A refusal of any gate passes through Do as it is.
func TestDoPassesAGatesErrorOn(t *testing.T) {
	shut := gateFunc(func(context.Context) (core.Permit, error) { return core.Permit{}, errSick })
	_, err := core.Do(bg, shut, func(context.Context) (int, error) { t.Error("the call was made"); return 0, nil })
	if err != errSick {
		t.Errorf("Do = %v, want the gate's own error", err)
	}
}
