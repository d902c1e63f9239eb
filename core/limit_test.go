package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func newLimit(t testing.TB, cfg core.LimitConfig) *core.Limit {
	t.Helper()
	l, err := core.NewLimit("test", cfg)
	if err != nil {
		t.Fatalf("NewLimit(%+v) = %v, want a limit", cfg, err)
	}
	return l
}

// fixedAt is the configuration of a fixed limit.
func fixedAt(n int) core.LimitConfig { return core.LimitConfig{Min: n, Max: n} }

// drive makes calls that overlap, n at once and each of length d, for a time, and
// returns how many were made.
func drive(t testing.TB, l *core.Limit, n int, d, span time.Duration, o core.Outcome) (calls int) {
	t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); {
		var permits []core.Permit
		for range n {
			if p, err := l.Allow(bg); err == nil {
				permits = append(permits, p.Move())
			}
		}
		time.Sleep(d)
		for i := range permits {
			permits[i].Settle(bg, o)
		}
		calls += len(permits)
	}
	return calls
}

func wantInFlight(t *testing.T, l *core.Limit, want int) {
	t.Helper()
	if got := l.Snapshot().InFlight; got != want {
		t.Fatalf("%d calls in flight, want %d", got, want)
	}
}

// A fixed limit admits as many calls at once as it says.
func TestFixedLimit(t *testing.T) {
	t.Parallel()
	l := newLimit(t, fixedAt(2))
	first, second := take(t, l), take(t, l)
	wantInFlight(t, l, 2)
	for range 3 {
		refused := refusal(t, l)
		if refused.Name != "test" || refused.Cause != core.CauseLimitReached || refused.State != core.Closed || time.Until(refused.RetryAt) > 0 || refused.RetryAt.IsZero() {
			t.Errorf("refusal %+v, want one of the limit that says at once", refused)
		}
		if !errors.Is(refused, core.ErrLimited) || !strings.Contains(refused.Error(), `concurrency limit "test"`) || !strings.Contains(refused.Error(), "try again") {
			t.Errorf("refusal %v, want one that matches ErrLimited and says to try again", refused)
		}
	}
	first.Done(bg, errSick)
	first.Settle(bg, core.Success) // the first settlement wins
	third := take(t, l)
	refusal(t, l)
	second.Settle(bg, core.Ignored)
	third.Done(bg, nil)
	wantInFlight(t, l, 0)
	snap := l.Snapshot()
	if snap.Admitted != 3 || snap.Refused != (core.RefusedCalls{Normal: 4}) || snap.Limit != 2 || snap.Base != 0 {
		t.Errorf("snapshot %+v, want 3 admitted and 4 refused", snap)
	}
}

// The refusal of a breaker is not one of a limit.
func TestRefusalOfABreakerIsNotLimited(t *testing.T) {
	t.Parallel()
	if err := refusal(t, opened(t, core.Config{})); errors.Is(err, core.ErrLimited) {
		t.Errorf("%v matches ErrLimited", err)
	}
}

// A breaker around a call that a limit refuses ignores the refusal.
func TestBreakersIgnoreTheRefusalOfALimit(t *testing.T) {
	t.Parallel()
	b, l := newBreaker(t, core.Config{FailureThreshold: 1}), newLimit(t, fixedAt(1))
	take(t, l)
	err := b.Do(bg, func(ctx context.Context) error {
		_, err := l.Allow(ctx)
		return err
	})
	if !errors.Is(err, core.ErrLimited) {
		t.Fatalf("Do = %v, want the limit's refusal", err)
	}
	wantState(t, b, core.Closed)
	if got := b.Snapshot().Totals.Ignored; got != 1 {
		t.Errorf("%d ignored, want 1", got)
	}
}

func TestLimitPriorities(t *testing.T) {
	t.Parallel()
	low := core.WithPriority(bg, core.LowPriority)
	for _, c := range []struct {
		limit    int
		reserve  float64
		low, all int
	}{
		{10, 0, 8, 10},
		{10, .7, 3, 10},
		{10, -1, 10, 10},
		{10, .99, 1, 10},
		{1, .9, 1, 1},
	} {
		l := newLimit(t, core.LimitConfig{Min: c.limit, Max: c.limit, Reserve: c.reserve})
		for i := range c.low {
			if _, err := l.Allow(low); err != nil {
				t.Fatalf("limit %d, reserve %v: call %d of low priority: %v", c.limit, c.reserve, i, err)
			}
		}
		if _, err := l.Allow(low); !errors.Is(err, core.ErrLimited) {
			t.Errorf("limit %d, reserve %v: Allow = %v, want a refusal of low priority after %d calls", c.limit, c.reserve, err, c.low)
		}
		for range c.all - c.low {
			take(t, l)
		}
		refusal(t, l)
		if got := l.Snapshot().Refused; got != (core.RefusedCalls{Normal: 1, Low: 1}) {
			t.Errorf("refused %+v, want one of each", got)
		}
	}
	if _, err := newLimit(t, fixedAt(1)).Allow(core.WithPriority(nil, core.Priority(9))); err != nil { //nolint:staticcheck // a nil context is allowed
		t.Errorf("a priority that is none: %v", err)
	}
}

func TestLimitRefusesBadConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg    core.LimitConfig
		fields string
	}{
		{core.LimitConfig{Min: 3, Max: 2}, "Min"},
		{core.LimitConfig{Min: -1}, "Min"},
		{core.LimitConfig{Max: -1}, "Max"},
		{core.LimitConfig{Max: 1<<20 + 1}, "Max"},
		{core.LimitConfig{Min: 1<<20 + 1}, "Min"},
		{core.LimitConfig{Min: 30, Initial: 20}, "Initial"},
		{core.LimitConfig{Initial: 1001}, "Initial"},
		{core.LimitConfig{Initial: -1}, "Initial"},
		{core.LimitConfig{Tolerance: math.NaN()}, "Tolerance"},
		{core.LimitConfig{Tolerance: 1}, "Tolerance"},
		{core.LimitConfig{Tolerance: 11}, "Tolerance"},
		{core.LimitConfig{Tolerance: -1}, "Tolerance"},
		{core.LimitConfig{Min: 5, Max: 5, Tolerance: 2}, "Tolerance"},
		{core.LimitConfig{Reserve: math.NaN()}, "Reserve"},
		{core.LimitConfig{Reserve: 1}, "Reserve"},
		{core.LimitConfig{Reserve: math.Inf(1)}, "Reserve"},
		{core.LimitConfig{Min: 3, Max: 2, Initial: 9, Tolerance: math.NaN(), Reserve: 2}, "Min Initial Tolerance Reserve"},
	} {
		_, err := core.NewLimit("test", c.cfg)
		for field := range strings.FieldsSeq(c.fields) {
			if err == nil || !strings.Contains(err.Error(), field+" is ") {
				t.Errorf("NewLimit(%+v) = %v, want it to name %s", c.cfg, err, field)
			}
		}
		if _, ok := errors.AsType[*core.ConfigError](err); !ok {
			t.Errorf("NewLimit(%+v) = %T, want a *ConfigError", c.cfg, err)
		}
		l := newLimit(t, core.LimitConfig{})
		if before := l.Config(); l.Update(c.cfg) == nil || l.Config().Max != before.Max {
			t.Errorf("Update(%+v) changed the limit", c.cfg)
		}
	}
	for _, cfg := range []core.LimitConfig{{}, {Min: 30}, {Min: 2000}, {Max: 3}, {Max: 1 << 20}, {Reserve: -5}, {Initial: 1}, fixedAt(1 << 20)} {
		l := newLimit(t, cfg)
		if _, err := core.NewLimit("again", l.Config()); err != nil {
			t.Errorf("NewLimit(%+v) refuses what Config returns: %v", cfg, err)
		}
	}
	if _, err := core.NewLimit("", core.LimitConfig{}); err == nil {
		t.Error("a limit without a name")
	}
	defer func() {
		if recover() == nil {
			t.Error("MustNewLimit did not panic")
		}
	}()
	core.MustNewLimit("test", core.LimitConfig{Min: -1})
}

func TestLimitThatWasNotMade(t *testing.T) {
	t.Parallel()
	for _, l := range []*core.Limit{nil, new(core.Limit)} {
		if _, err := l.Allow(bg); err == nil || errors.Is(err, core.ErrOpen) {
			t.Errorf("Allow = %v, want an error that is no refusal", err)
		}
		if err := l.Update(core.LimitConfig{}); err == nil {
			t.Error("Update = nil")
		}
		if l.Name() != "" || l.Snapshot() != (core.LimitSnapshot{}) || !strings.Contains(l.Explain(), "NewLimit") || l.Config().Max != 0 {
			t.Error("a limit that was not made has a name, a snapshot or a configuration")
		}
		if _, err := core.All(l, newBreaker(t, core.Config{})).Allow(bg); err == nil {
			t.Error("All admits without a limit")
		}
	}
}

func TestLimitTakesNoPlaceForADoneContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bg)
	cancel()
	l := newLimit(t, fixedAt(1))
	for _, g := range []core.Gate{l, core.All(l, newBreaker(t, core.Config{})), core.All(newBreaker(t, core.Config{}), l)} {
		if _, err := g.Allow(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Allow = %v, want context.Canceled", err)
		}
	}
	if snap := l.Snapshot(); snap.Admitted != 0 || snap.InFlight != 0 || snap.Refused.Normal != 0 {
		t.Errorf("snapshot %+v, want nothing counted", snap)
	}
	if _, err := l.Allow(nil); err != nil { //nolint:staticcheck // a nil context is allowed
		t.Errorf("a nil context: %v", err)
	}
}

// Panic and runtime.Goexit give the place back.
func TestLimitPlaceIsGivenBackWhateverHappens(t *testing.T) {
	t.Parallel()
	l := newLimit(t, core.LimitConfig{})
	for _, g := range []core.Gate{l, core.All(l, newBreaker(t, core.Config{})), core.All(newBreaker(t, core.Config{}), l)} {
		for _, f := range []func(){func() { panic("the call") }, runtime.Goexit} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_, _ = core.Do(bg, g, func(context.Context) (int, error) { f(); return 0, nil })
			}()
			<-done
			wantInFlight(t, l, 0)
		}
	}
}

// Classify of the limit or of the breaker may panic; the place is free and the
// breaker has its outcome.
func TestLimitSurvivesAPanicOfClassify(t *testing.T) {
	t.Parallel()
	bad := func(context.Context, error) core.Outcome { panic("classify") }
	for _, c := range []struct {
		limit   core.LimitConfig
		breaker core.Config
	}{
		{core.LimitConfig{Classify: bad}, core.Config{}},
		{core.LimitConfig{}, core.Config{Classify: bad}},
	} {
		l, b := newLimit(t, c.limit), newBreaker(t, c.breaker)
		for i, g := range []core.Gate{core.All(l, b), core.All(b, l)} {
			func() {
				defer func() { _ = recover() }()
				_, _ = core.Do(bg, g, func(context.Context) (int, error) { return 0, errSick })
			}()
			wantInFlight(t, l, 0)
			if got := b.Snapshot().Totals.Failures; got != uint64(i+1) {
				t.Errorf("%d failures, want %d", got, i+1)
			}
		}
	}
}

// All of a limit and a breaker asks both and settles both, in either order.
func TestAllOfLimitAndBreaker(t *testing.T) {
	gates := func(t *testing.T, cfg core.Config, limit core.LimitConfig) (b *core.Breaker, l *core.Limit, both map[string]core.Gate) {
		t.Helper()
		b, l = newBreaker(t, cfg), newLimit(t, limit)
		return b, l, map[string]core.Gate{"limit first": core.All(l, b), "breaker first": core.All(b, l)}
	}
	bubble(t, "settles both", func(t *testing.T) {
		b, l, both := gates(t, core.Config{Durations: true, FailureThreshold: 100}, core.LimitConfig{})
		for name, g := range both {
			before := b.Snapshot().Totals
			p := take(t, g)
			wantInFlight(t, l, 1)
			time.Sleep(time.Second)
			p.Done(bg, nil)
			p.Done(bg, errSick)
			play(t, g, "SFI")
			take(t, g).Done(bg, errSick)
			moved := take(t, g).Move()
			moved.Report(bg, core.Failure, core.RetryAfter(errSick, time.Second))
			wantInFlight(t, l, 0)
			now := b.Snapshot().Totals
			if now.Successes-before.Successes != 2 || now.Failures-before.Failures != 3 || now.Ignored-before.Ignored != 1 {
				t.Errorf("%s: totals %+v after %+v, want 2 successes, 3 failures, 1 ignored more", name, now, before)
			}
		}
		if got := b.Snapshot().Durations.P99; got < time.Second*15/16 {
			t.Errorf("p99 is %v, want 1 s", got)
		}
	})
	bubble(t, "a refusal of one gives back what the other gave", func(t *testing.T) {
		b, l, both := gates(t, core.Config{FailureThreshold: 1, Timeout: time.Second, HalfOpenMaxCalls: 1}, fixedAt(1))
		for name, g := range both {
			fail(t, b, 1)
			if refused := refusal(t, g); refused.Cause != core.CauseConsecutiveFailures {
				t.Errorf("%s: %v, want the breaker's refusal", name, refused)
			}
			wantInFlight(t, l, 0)
			time.Sleep(time.Second)
			wantState(t, b, core.HalfOpen)
			place := take(t, l)
			if refused := refusal(t, g); refused.Cause != core.CauseLimitReached {
				t.Errorf("%s: %v, want the limit's refusal", name, refused)
			}
			place.Settle(bg, core.Success)
			probe := take(t, g) // the refusal has not kept the probe
			if !probe.Probe() {
				t.Errorf("%s: no probe, want one", name)
			}
			probe.Settle(bg, core.Success)
			succeed(t, g, 1)
			wantState(t, b, core.Closed)
		}
	})
	bubble(t, "overrides of the breaker", func(t *testing.T) {
		b, l, both := gates(t, core.Config{CallTimeout: time.Second}, fixedAt(1))
		for name, g := range both {
			for _, o := range []core.Override{core.Disabled, core.Shadow} {
				if err := b.Force(o); err != nil {
					t.Fatal(err)
				}
				p := take(t, g)
				if refused := refusal(t, g); refused.Cause != core.CauseLimitReached {
					t.Errorf("%s, %v: %v, want the limit's refusal", name, o, refused)
				}
				p.Settle(bg, core.Success)
				wantInFlight(t, l, 0)
				_, err := core.Do(bg, g, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s, %v: Do = %v, want CallTimeout to hold", name, o, err)
				}
				wantInFlight(t, l, 0)
			}
		}
	})
	bubble(t, "with others, in the general way", func(t *testing.T) {
		b, l, _ := gates(t, core.Config{}, fixedAt(1))
		g := core.All(l, b, newLimit(t, fixedAt(1)))
		p := take(t, g)
		refusal(t, g)
		p.Done(bg, nil)
		wantInFlight(t, l, 0)
		if got := b.Snapshot().Totals.Successes; got != 1 {
			t.Errorf("%d successes, want 1", got)
		}
	})
}

// The limit and the breaker classify a call each for itself.
func TestLimitAndBreakerClassifyForThemselves(t *testing.T) {
	var asked []string
	always := func(who string, o core.Outcome) func(context.Context, error) core.Outcome {
		return func(context.Context, error) core.Outcome { asked = append(asked, who); return o }
	}
	b := newBreaker(t, core.Config{Classify: always("breaker", core.Failure)})
	l := newLimit(t, core.LimitConfig{Classify: always("limit", core.Ignored)})
	take(t, core.All(l, b)).Done(bg, nil)
	if got := b.Snapshot().Totals.Failures; got != 1 || len(asked) != 2 {
		t.Errorf("%d failures, asked %v; want 1, and both asked", got, asked)
	}
}

// What a call spends waiting for its own caller is not the dependency's latency, nor
// is what follows the start of a response.
func TestLimitLatencyIsTheDependencys(t *testing.T) {
	for _, withBreaker := range []bool{false, true} {
		bubble(t, "with a breaker: "+map[bool]string{true: "yes", false: "no"}[withBreaker], func(t *testing.T) {
			l := newLimit(t, core.LimitConfig{})
			var g core.Gate = l
			if withBreaker {
				g = core.All(l, newBreaker(t, core.Config{}))
			}
			for range 100 {
				p := take(t, g)
				time.Sleep(10 * time.Millisecond)
				p.Waited(5 * time.Millisecond)
				p.ResponseStarted()
				time.Sleep(time.Millisecond)
				p.Settle(bg, core.Success)
			}
			if got := l.Snapshot().Latency; got.Round(time.Microsecond) != 5*time.Millisecond {
				t.Errorf("latency %v, want 5ms", got)
			}
		})
	}
}

// Growth: while calls are as fast as ever and the limit is used up, it grows.
func TestLimitGrows(t *testing.T) {
	bubble(t, "and never above Max", func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{Max: 40, Initial: 10})
		drive(t, l, 100, 10*time.Millisecond, time.Second, core.Success)
		if got := l.Snapshot(); got.Limit <= 10 || got.Base != 10*time.Millisecond {
			t.Errorf("%s, want it to have grown", l.Explain())
		}
		drive(t, l, 100, 10*time.Millisecond, 5*time.Second, core.Success)
		if got := l.Snapshot().Limit; got != 40 {
			t.Errorf("limit %d, want Max", got)
		}
	})
	bubble(t, "and comes back when it is not used", func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{})
		drive(t, l, 300, 10*time.Millisecond, 5*time.Second, core.Success)
		grown := l.Snapshot().Limit
		drive(t, l, 1, time.Millisecond, time.Minute, core.Success)
		if got := l.Snapshot().Limit; got >= grown || got != 20 {
			t.Errorf("limit %d, want it back from %d at Initial", got, grown)
		}
	})
}

// Calls that run into their deadline cut the limit, again and again.
func TestLimitIsCutByDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{Initial: 100})
		drive(t, l, 50, 50*time.Millisecond, time.Second, core.Success)
		for range 20 {
			var permits []core.Permit
			for range 120 {
				if p, err := l.Allow(bg); err == nil {
					permits = append(permits, p.Move())
				}
			}
			time.Sleep(100 * time.Millisecond)
			for i := range permits {
				permits[i].Done(bg, context.DeadlineExceeded)
			}
		}
		if got := l.Snapshot(); got.Limit > 10 || got.Cuts == 0 {
			t.Errorf("%s, want a limit below 10", l.Explain())
		}
	})
}

// Failures that are faster than calls usually are do not pass for health.
func TestLimitDoesNotCountFastFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{})
		drive(t, l, 40, time.Millisecond, time.Second, core.Failure)
		if snap := l.Snapshot(); snap.Base != 0 || snap.Limit != 20 {
			t.Errorf("%s after failures alone, want nothing known", l.Explain())
		}
		drive(t, l, 40, 20*time.Millisecond, 2*time.Second, core.Success)
		before := l.Snapshot()
		drive(t, l, 40, time.Millisecond, 5*time.Second, core.Failure)
		if after := l.Snapshot(); after.Base != before.Base || after.Limit != before.Limit || after.Latency != before.Latency {
			t.Errorf("%s after fast failures, want limit %d and base %v", l.Explain(), before.Limit, before.Base)
		}
		drive(t, l, 40, 100*time.Millisecond, 5*time.Second, core.Failure)
		if after := l.Snapshot(); after.Latency <= before.Latency {
			t.Errorf("%s after slow failures, want them counted", l.Explain())
		}
	})
}

// An ignored call gives its place back and is no sample.
func TestLimitIgnoresIgnoredCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{})
		drive(t, l, 40, 20*time.Millisecond, 2*time.Second, core.Success)
		before := l.Snapshot()
		calls := drive(t, l, 40, time.Second, 20*time.Second, core.Ignored)
		after := l.Snapshot()
		if after.Admitted-before.Admitted != uint64(calls) {
			t.Errorf("%d admitted, want %d", after.Admitted-before.Admitted, calls)
		}
		if after.Limit != before.Limit || after.Base != before.Base || after.Latency != before.Latency || after.InFlight != 0 {
			t.Errorf("%+v after ignored calls, want %+v", after, before)
		}
	})
}

// A call that was admitted before the window tells nothing about the limit of now.
func TestLimitCountsCallsOfItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{Initial: 100})
		var old []core.Permit
		for range 50 {
			old = append(old, take(t, l).Move())
		}
		drive(t, l, 40, 10*time.Millisecond, time.Second, core.Success)
		for i := range old {
			old[i].Settle(bg, core.Success)
		}
		drive(t, l, 40, 10*time.Millisecond, time.Second, core.Success)
		if snap := l.Snapshot(); snap.Base != 10*time.Millisecond || snap.Latency != 10*time.Millisecond || snap.Cuts != 0 {
			t.Errorf("%s, want no trace of the calls from before", l.Explain())
		}
	})
}

// A clock that stands still, or goes back, leaves the limit as it is.
func TestLimitWithAClockThatStandsStill(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	l := newLimit(t, core.LimitConfig{Now: clock.now, Initial: 10})
	for i := range 10_000 {
		if i == 5_000 {
			clock.advance(-time.Hour)
		}
		if p, err := l.Allow(bg); err == nil {
			p.Settle(bg, core.Success)
		}
	}
	if snap := l.Snapshot(); snap.Limit != 10 || snap.Base != 0 || snap.Admitted != 10_000 {
		t.Errorf("snapshot %+v, want limit 10", snap)
	}
}

func TestLimitUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(t, fixedAt(3))
		permits := []*core.Permit{take(t, l), take(t, l), take(t, l)}
		if err := l.Update(fixedAt(1)); err != nil {
			t.Fatal(err)
		}
		wantInFlight(t, l, 3) // they go on
		permits[0].Settle(bg, core.Success)
		permits[1].Settle(bg, core.Success)
		refusal(t, l)
		permits[2].Settle(bg, core.Success)
		take(t, l).Settle(bg, core.Success)
		if err := l.Update(core.LimitConfig{Max: 50}); err != nil {
			t.Fatal(err)
		}
		drive(t, l, 100, 10*time.Millisecond, 5*time.Second, core.Success)
		if got := l.Snapshot(); got.Limit != 50 || got.Base != 10*time.Millisecond {
			t.Errorf("%s, want an adaptive limit of 50", l.Explain())
		}
		if err := l.Update(fixedAt(7)); err != nil {
			t.Fatal(err)
		}
		if got := l.Explain(); got != "limit 7, none in use; it is fixed" {
			t.Errorf("Explain = %q", got)
		}
	})
}

// Hooks are told of each change, in order; the log of a doubling or halving.
func TestLimitHooksAndLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []core.LimitChange
		var text bytes.Buffer
		var l *core.Limit
		l = newLimit(t, core.LimitConfig{
			Hooks: core.LimitHooks{LimitChanged: func(ctx context.Context, c core.LimitChange) {
				if ctx == nil || l.Snapshot().Limit != c.To { // no lock is held
					t.Error("the hook has no context, or a change that is not the last")
				}
				changes = append(changes, c)
				if len(changes) == 2 {
					panic("a hook")
				}
			}},
			Logger: slog.New(slog.NewTextHandler(&text, nil)),
		})
		drive(t, l, 300, 10*time.Millisecond, 5*time.Second, core.Success)
		snap := l.Snapshot()
		if len(changes) < 10 || uint64(len(changes)) != snap.Changes || snap.HookPanics != 1 || snap.EventsDropped != 0 {
			t.Errorf("%d changes told, snapshot %+v", len(changes), snap)
		}
		for i, c := range changes {
			if i > 0 && c.From != changes[i-1].To || c.Name != "test" || c.From == c.To {
				t.Errorf("change %d: %+v after %+v", i, c, changes[max(i-1, 0)])
			}
		}
		grown := strings.Count(text.String(), "has grown")
		if most := 1 + int(math.Log2(float64(snap.Limit)/20)); grown == 0 || grown > most || strings.Count(text.String(), "hook panicked") != 1 {
			t.Errorf("the log has %d lines of growth from 20 to %d, want 1 to %d:\n%s", grown, snap.Limit, most, &text)
		}
	})
}

func TestLimitExplainsAndMarshals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(t, core.LimitConfig{Initial: 2, Max: 4})
		wantExplain(t, l, "limit 2, none in use; latency not known yet")
		first := take(t, l)
		wantExplain(t, l, "limit 2, 1 in use; latency not known yet")
		take(t, l)
		wantExplain(t, l, "limit 2, all in use; latency not known yet")
		first.Settle(bg, core.Ignored)
		drive(t, l, 4, 12340*time.Microsecond, 5*time.Second, core.Success)
		wantExplain(t, l, "limit 4, 1 in use; latency 12.3ms, base 12.3ms; never cut")
		for range 30 {
			drive(t, l, 4, 500*time.Millisecond, time.Second, core.Success)
		}
		if got := l.Explain(); !strings.Contains(got, "last cut ") || !strings.Contains(got, " ago, it ") {
			t.Errorf("Explain = %q, want the last cut", got)
		}
		snap := l.Snapshot()
		if snap.LastCut.IsZero() || snap.Cuts == 0 || snap.CutsUndone == 0 {
			t.Errorf("snapshot %+v, want cuts and that they were undone", snap)
		}
		text, err := json.Marshal(snap)
		if err != nil {
			t.Fatal(err)
		}
		var read core.LimitSnapshot
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		read.At, read.Started, read.LastCut = snap.At, snap.Started, snap.LastCut // without their monotonic readings
		if read != snap {
			t.Errorf("read %+v\nwant %+v", read, snap)
		}
	})
}

func wantExplain(t *testing.T, l *core.Limit, want string) {
	t.Helper()
	if got := l.Explain(); got != want {
		t.Errorf("Explain = %q, want %q", got, want)
	}
}

// A limit allocates nothing for a call or a refusal, alone and beside a breaker.
func TestLimitAllocs(t *testing.T) {
	open := opened(t, core.Config{Timeout: time.Hour})
	full := newLimit(t, fixedAt(1))
	take(t, full)
	low := core.WithPriority(bg, core.LowPriority)
	closed := newBreaker(t, core.Config{})
	adaptive := newLimit(t, core.LimitConfig{})
	for name, g := range map[string]core.Gate{
		"fixed":                    newLimit(t, fixedAt(10)),
		"adaptive":                 adaptive,
		"full":                     full,
		"limit and breaker":        core.All(adaptive, closed),
		"breaker and limit":        core.All(closed, adaptive),
		"limit and durations":      core.All(adaptive, newBreaker(t, core.Config{Durations: true})),
		"limit and open breaker":   core.All(adaptive, open),
		"full limit and a breaker": core.All(full, closed),
		"breaker and full limit":   core.All(closed, full),
	} {
		for _, ctx := range []context.Context{bg, low} {
			f := func() {
				if p, err := g.Allow(ctx); err == nil {
					p.Done(ctx, nil)
				} else if !errors.Is(err, core.ErrOpen) {
					t.Fatal(err)
				}
			}
			f()
			if n := testing.AllocsPerRun(300, f); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
}
