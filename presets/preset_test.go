package presets_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

var errDown = errors.New("the dependency is down")

// inBubble runs a subtest on a clock of its own.
func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// registryFor returns a Registry of a fleet, which must be valid.
func registryFor(t *testing.T, f *presets.Fleet) *presets.Registry {
	t.Helper()
	r, err := presets.NewRegistry(f)
	if err != nil {
		t.Fatalf("NewRegistry(%+v) = %v, want a registry", f, err)
	}
	return r
}

// breakerOf returns the breaker of a name.
func breakerOf(t *testing.T, r *presets.Registry, name string) *core.Breaker {
	t.Helper()
	b, err := r.Breakers().Get(name)
	if err != nil {
		t.Fatalf("Get(%q) = %v, want a breaker", name, err)
	}
	return b
}

func stateIs(t *testing.T, b *core.Breaker, want core.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("the state of %q is %v, want %v (%s)", b.Name(), got, want, b.Explain())
	}
}

// totalsAre compares what is counted, but for calls that are out.
func totalsAre(t *testing.T, b *core.Breaker, want core.Totals) {
	t.Helper()
	if got := b.Snapshot().Totals; got != want {
		t.Fatalf("the totals of %q are\n %+v, want\n %+v", b.Name(), got, want)
	}
}

// failing makes n calls of a breaker that fail.
func failing(t *testing.T, b *core.Breaker, n int) {
	t.Helper()
	for range n {
		if err := b.Do(context.Background(), func(context.Context) error { return errDown }); err != errDown {
			t.Fatalf("a call of %q = %v, want %v", b.Name(), err, errDown)
		}
	}
}

// callee is a function to protect. It returns one error after the other, and
// then none; its result is the number of the call.
type callee struct {
	mu   sync.Mutex
	errs []error
	at   []time.Time
}

func failsWith(errs ...error) *callee { return &callee{errs: errs} }

// failsAlways returns a callee that fails more often than any test calls it.
func failsAlways() *callee { return failsWith(slices.Repeat([]error{errDown}, 1000)...) }

func (c *callee) call(context.Context, string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	n := len(c.at)
	if n <= len(c.errs) {
		return n, c.errs[n-1]
	}
	return n, nil
}

func (c *callee) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.at)
}

// waits are the times between the calls.
func (c *callee) waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := []time.Duration{}
	for i := 1; i < len(c.at); i++ {
		waits = append(waits, c.at[i].Sub(c.at[i-1]))
	}
	return waits
}

func (c *callee) waitsAre(t *testing.T, want ...time.Duration) {
	t.Helper()
	if got := c.waits(); !slices.Equal(got, want) {
		t.Fatalf("the waits between the calls are %v, want %v", got, want)
	}
}

// samePolicy compares everything, as of two presets, which have no funcs.
func samePolicy(a, b any) bool { return reflect.DeepEqual(a, b) }

// presetRow is what a preset says, number by number.
type presetRow struct {
	name                 string
	policy               func() presets.Policy
	failures, successes  int
	timeout, callTimeout time.Duration
	retry                presets.Retry
	attempts             int           // that are made where retries are enabled
	wait                 time.Duration // the first, without jitter
}

func presetRows() []presetRow {
	const s, ms = time.Second, time.Millisecond
	return []presetRow{
		{"conservative", presets.Conservative, 3, 3, 120 * s, 60 * s, presets.Retry{Strategy: presets.StrategyExponential, Attempts: 2, InitialDelay: 2 * s, MaxDelay: 10 * s}, 2, 2 * s},
		{"moderate", presets.Moderate, 5, 2, 60 * s, 30 * s, presets.Retry{Strategy: presets.StrategyExponential, Attempts: 3, InitialDelay: 1 * s, MaxDelay: 10 * s}, 3, 1 * s},
		{"aggressive", presets.Aggressive, 10, 1, 30 * s, 15 * s, presets.Retry{}, 3, 1 * s},
		{"critical_service", presets.CriticalService, 2, 3, 180 * s, 90 * s, presets.Retry{Strategy: presets.StrategyExponential, Attempts: 3, InitialDelay: 3 * s, MaxDelay: 15 * s}, 3, 3 * s},
		{"non_critical_service", presets.NonCriticalService, 8, 1, 30 * s, 10 * s, presets.Retry{}, 3, 1 * s},
		{"external_api", presets.ExternalAPI, 5, 2, 60 * s, 30 * s, presets.Retry{Strategy: presets.StrategyExponential, Attempts: 3, InitialDelay: 1 * s, MaxDelay: 8 * s}, 3, 1 * s},
		{"database", presets.Database, 3, 2, 30 * s, 10 * s, presets.Retry{Strategy: presets.StrategyLinear, Attempts: 2, InitialDelay: 500 * ms, MaxDelay: 2 * s}, 2, 500 * ms},
		{"agent_execution", presets.AgentExecution, 4, 2, 90 * s, 120 * s, presets.Retry{}, 3, 1 * s},
		{"file_operations", presets.FileOperations, 3, 2, 10 * s, 5 * s, presets.Retry{Strategy: presets.StrategyFixed, Attempts: 2, InitialDelay: 1 * s}, 2, 1 * s},
	}
}

// The numbers of the presets are a promise: a change of one is a change of this
// table.
func TestPresetNumbers(t *testing.T) {
	var known []string
	for _, g := range presetRows() {
		known = append(known, g.name)
		var want presets.Policy
		want.Preset = g.name
		want.FailureThreshold, want.SuccessThreshold = g.failures, g.successes
		want.Timeout, want.CallTimeout = g.timeout, g.callTimeout
		want.Retry = g.retry // how; not whether
		want.Durations, want.History, want.RecentCalls = true, 5*time.Minute, 100
		if got := g.policy(); !samePolicy(got, want) {
			t.Errorf("the function of %s returns\n %+v, want\n %+v", g.name, got, want)
		}
		got, err := presets.Named(g.name)
		if err != nil || !samePolicy(got, want) {
			t.Errorf("Named(%q) =\n %+v, %v, want\n %+v", g.name, got, err, want)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s is not valid: %v", g.name, err)
		}
	}
	if got := presets.Names(); !slices.Equal(got, known) {
		t.Errorf("Names() = %q, want %q", got, known)
	}
}

// The numbers have effect: a protected function and its breaker behave by them.
func TestPresetBehaviour(t *testing.T) {
	for _, g := range presetRows() {
		inBubble(t, g.name+" is called with the deadline", func(t *testing.T) {
			p := g.policy()
			p.Registry = registryFor(t, nil)
			var left time.Duration
			call := presets.MustProtectFunc("x", p, func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return nil
			})
			if err := call(t.Context()); err != nil || left != g.callTimeout {
				t.Errorf("the call has %v left and returns %v, want %v and no error", left, err, g.callTimeout)
			}
		})
		inBubble(t, g.name+" opens, waits and closes", func(t *testing.T) {
			p := g.policy()
			p.Registry = registryFor(t, nil)
			presets.MustProtectFunc("x", p, func(context.Context) error { return nil })
			b := breakerOf(t, p.Registry, "x")
			failing(t, b, g.failures-1)
			stateIs(t, b, core.Closed)
			failing(t, b, 1)
			stateIs(t, b, core.Open)
			time.Sleep(g.timeout - 1)
			stateIs(t, b, core.Open)
			time.Sleep(time.Nanosecond)
			for range g.successes {
				stateIs(t, b, core.HalfOpen)
				if err := b.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
					t.Fatalf("a probe = %v, want it admitted", err)
				}
			}
			stateIs(t, b, core.Closed)
		})
		inBubble(t, g.name+" makes its attempts", func(t *testing.T) {
			p := g.policy()
			p.FailureThreshold, p.FailureRateThreshold = -1, -1
			p.Registry = registryFor(t, nil)
			once := failsAlways()
			if _, err := presets.MustProtect("once", p, once.call)(t.Context(), ""); err != errDown || once.calls() != 1 {
				t.Fatalf("%d attempts, then %v, although retries are not enabled; want 1", once.calls(), err)
			}
			p = p.WithRetry()
			f := failsAlways()
			if _, err := presets.MustProtect("x", p, f.call)(t.Context(), ""); err != errDown {
				t.Fatalf("the call = %v, want %v", err, errDown)
			}
			if got := f.calls(); got != g.attempts {
				t.Fatalf("%d attempts, want %d", got, g.attempts)
			}
			for _, wait := range f.waits()[:min(1, g.attempts-1)] {
				if low, high := g.wait*9/10, g.wait*11/10; wait < low || wait > high {
					t.Errorf("the first wait is %v, want %v to %v", wait, low, high)
				}
			}
		})
	}
}

// The defaults of a Retry: 3 attempts, 1 s, at most 10 s, times 2, jitter 0.1.
func TestRetryDefaults(t *testing.T) {
	protected := func(t *testing.T, retry presets.Retry, f *callee) func(context.Context, string) (int, error) {
		t.Helper()
		p := presets.Policy{Config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}, Retry: retry, Registry: registryFor(t, nil)}
		return presets.MustProtect("x", p, f.call)
	}
	inBubble(t, "3 attempts, the first wait 1 s, times 2", func(t *testing.T) {
		f := failsAlways()
		_, _ = protected(t, presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, JitterFactor: -1}, f)(t.Context(), "")
		f.waitsAre(t, time.Second, 2*time.Second)
	})
	inBubble(t, "at most 10 s", func(t *testing.T) {
		f := failsAlways()
		_, _ = protected(t, presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, JitterFactor: -1, Attempts: 7}, f)(t.Context(), "")
		f.waitsAre(t, time.Second, 2*time.Second, 4*time.Second, 8*time.Second, 10*time.Second, 10*time.Second)
	})
	inBubble(t, "at most the first wait, if that is more", func(t *testing.T) {
		f := failsAlways()
		_, _ = protected(t, presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, JitterFactor: -1, InitialDelay: time.Minute}, f)(t.Context(), "")
		f.waitsAre(t, time.Minute, time.Minute)
	})
	t.Run("in so many words", func(t *testing.T) {
		want := presets.Retry{Enabled: true, Strategy: presets.StrategyLinear, Attempts: 3, InitialDelay: time.Second, MaxDelay: 10 * time.Second, Multiplier: 2, JitterFactor: 0.1}
		if got := (presets.Retry{Enabled: true, Strategy: presets.StrategyLinear}).WithDefaults(); !reflect.DeepEqual(got, want) {
			t.Errorf("WithDefaults() = %+v, want %+v", got, want)
		}
		given := presets.Retry{Enabled: true, Strategy: presets.StrategyRandom, Attempts: 1, InitialDelay: 2, MaxDelay: 3, Multiplier: 4, JitterFactor: 0.5}
		if got := given.WithDefaults(); !reflect.DeepEqual(got, given) {
			t.Errorf("WithDefaults() = %+v, want what was given, %+v", got, given)
		}
		if got := (presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, JitterFactor: -1}).WithDefaults().JitterFactor; got != 0 {
			t.Errorf("without jitter the factor is %v, want 0", got)
		}
		if got := (presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: time.Hour}).WithDefaults().MaxDelay; got != time.Hour {
			t.Errorf("the cap over a first wait of 1h is %v, want 1h", got)
		}
		if got := (presets.Retry{}).WithDefaults().Attempts; got != 1 {
			t.Errorf("without a strategy there are %d attempts, want 1", got)
		}
	})
	t.Run("and in waits", func(t *testing.T) {
		exact := presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, JitterFactor: -1}
		for n, want := range []time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 6: 10 * time.Second} {
			if got := exact.Wait(n); n > 0 && got != want {
				t.Errorf("the wait after %d attempts is %v, want %v", n, got, want)
			}
		}
		var waits []time.Duration
		for range 300 {
			waits = append(waits, presets.Retry{Enabled: true, Strategy: presets.StrategyLinear}.Wait(3))
		}
		spread(t, waits, 2700*time.Millisecond, 3300*time.Millisecond)
	})
	inBubble(t, "jitter 0.1", func(t *testing.T) {
		f := failsAlways()
		call := protected(t, presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, Attempts: 100}, f)
		for range 3 {
			_, _ = call(t.Context(), "")
		}
		spread(t, f.waits(), 900*time.Millisecond, 1100*time.Millisecond)
	})
}

// spread checks that waits keep within bounds and use most of the room; of
// hundreds of even draws, one in a tenth of the room at either end is certain.
func spread(t *testing.T, waits []time.Duration, low, high time.Duration) {
	t.Helper()
	waits = slices.DeleteFunc(slices.Clone(waits), func(d time.Duration) bool { return d == 0 }) // between two calls, not attempts
	least, most, room := slices.Min(waits), slices.Max(waits), (high-low)/10
	if least < low || most > high || least > low+room || most < high-room {
		t.Errorf("%d waits of %v to %v, want about all between %v and %v", len(waits), least, most, low, high)
	}
}

func TestNamedUnknown(t *testing.T) {
	for name, suggestion := range map[string]string{
		"external-api": `did you mean "external_api"?`,
		"modrate":      `did you mean "moderate"?`,
		"databases":    `did you mean "database"?`,
		"Moderate":     `did you mean "moderate"?`,
		"":             "",
		"none":         "",
		"xyzzy-plugh":  "",
	} {
		p, err := presets.Named(name)
		fault, ok := errors.AsType[*core.ConfigError](err)
		if !ok || fault.Field != "Preset" || fault.Value != name {
			t.Errorf("Named(%q) = %+v, %v, want a *core.ConfigError about Preset", name, p, err)
			continue
		}
		if !samePolicy(p, presets.Policy{}) {
			t.Errorf("Named(%q) returns %+v beside its error, want the zero Policy", name, p)
		}
		for _, known := range presets.Names() {
			if !strings.Contains(err.Error(), known) {
				t.Errorf("Named(%q) = %v, want it to list %s", name, err, known)
			}
		}
		if suggestion != "" && !strings.Contains(err.Error(), suggestion) || suggestion == "" && strings.Contains(err.Error(), "did you mean") {
			t.Errorf("Named(%q) = %v, want the suggestion %q", name, err, suggestion)
		}
	}
	if _, err := presets.Named(strings.Repeat("x", 1<<20)); err == nil || len(err.Error()) > 500 {
		t.Errorf("Named of a long name says %d bytes, want a short error", len(fmt.Sprint(err)))
	}
}

// The functions return values that the caller may change.
func TestPresetsAreFresh(t *testing.T) {
	names := presets.Names()
	for i := range names {
		names[i] = "spoilt"
	}
	if got := presets.Names()[0]; got != "conservative" {
		t.Errorf("Names()[0] = %q after the last slice was spoilt, want conservative", got)
	}
	for _, g := range presetRows() {
		p := g.policy()
		p.FailureThreshold, p.Timeout, p.Retry.Attempts, p.Preset = 99, time.Hour, 99, "spoilt"
		if again := g.policy(); samePolicy(again, p) || again.FailureThreshold != g.failures || again.Timeout != g.timeout || again.Retry.Attempts != g.retry.Attempts || again.Preset != g.name {
			t.Errorf("%s is %+v after an earlier one was changed, want it as it was", g.name, again)
		}
	}
}

func TestWith(t *testing.T) {
	base := presets.Moderate()
	base.Health = &core.HealthLimits{SuccessRate: 0.5}
	changed := base.With(func(p *presets.Policy) {
		p.Timeout = time.Hour
		p.Retry.Attempts = 7
		p.Health.SuccessRate = 0.9
	})
	if changed.Timeout != time.Hour || changed.Retry.Attempts != 7 || changed.Health.SuccessRate != 0.9 {
		t.Errorf("With returns %+v with health %+v, want it changed", changed, *changed.Health)
	}
	if base.Timeout != time.Minute || base.Retry.Attempts != 3 || base.Health.SuccessRate != 0.5 {
		t.Errorf("what With was called on is %+v with health %+v, want it as it was", base, *base.Health)
	}
	if changed.Preset != "moderate" {
		t.Errorf("the changed policy is made from %q, want moderate", changed.Preset)
	}
}

// faultFields returns the fields that an error of Validate is about.
func faultFields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	if fault, ok := err.(*core.ConfigError); ok {
		if fault.Allowed == "" || !strings.Contains(fault.Error(), fault.Field) {
			t.Errorf("the fault %q does not say its field and what is allowed", fault)
		}
		return []string{fault.Field}
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T %v is neither a *core.ConfigError nor several", err, err)
	}
	var fields []string
	for _, e := range joined.Unwrap() {
		fields = append(fields, faultFields(t, e)...)
	}
	return fields
}

// Every fault is told, not only the first.
func TestValidateReportsAll(t *testing.T) {
	p := presets.Policy{
		Preset: "modrate",
		Config: core.Config{FailureThreshold: 2000, Timeout: -1, Jitter: 1},
		Retry:  presets.Retry{Strategy: 9, Attempts: 101, InitialDelay: -1, MaxDelay: -2, Multiplier: 0.5, JitterFactor: 1.5},

		HealthCheckInterval: time.Millisecond,
	}
	want := []string{
		"FailureThreshold", "Timeout", "Jitter", "Preset", "Retry.Strategy", "Retry.Attempts", "Retry.InitialDelay",
		"Retry.MaxDelay", "Retry.Multiplier", "Retry.JitterFactor", "HealthCheckInterval",
	}
	if got := faultFields(t, p.Validate()); !slices.Equal(got, want) {
		t.Errorf("Validate tells faults of\n %q, want\n %q", got, want)
	}
	if err := (presets.Policy{}).Validate(); err != nil {
		t.Errorf("the zero Policy: %v, want it valid", err)
	}
}

// Each limit, at it and past it.
func TestValidateLimits(t *testing.T) {
	retry := func(change func(r *presets.Retry)) presets.Policy {
		p := presets.Policy{Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyExponential}}
		change(&p.Retry)
		return p
	}
	const bad = "Retry."
	for name, row := range map[string]struct {
		p     presets.Policy
		fault string
	}{
		"attempts 1":                 {retry(func(r *presets.Retry) { r.Attempts = 1 }), ""},
		"attempts 100":               {retry(func(r *presets.Retry) { r.Attempts = 100 }), ""},
		"attempts 101":               {retry(func(r *presets.Retry) { r.Attempts = 101 }), bad + "Attempts"},
		"attempts -1":                {retry(func(r *presets.Retry) { r.Attempts = -1 }), bad + "Attempts"},
		"first wait 1 ns":            {retry(func(r *presets.Retry) { r.InitialDelay = 1 }), ""},
		"first wait -1 ns":           {retry(func(r *presets.Retry) { r.InitialDelay = -1 }), bad + "InitialDelay"},
		"cap at the first wait":      {retry(func(r *presets.Retry) { r.InitialDelay, r.MaxDelay = 5, 5 }), ""},
		"cap below the first wait":   {retry(func(r *presets.Retry) { r.InitialDelay, r.MaxDelay = 5, 4 }), bad + "MaxDelay"},
		"cap below the default wait": {retry(func(r *presets.Retry) { r.MaxDelay = time.Second - 1 }), bad + "MaxDelay"},
		"cap at the default wait":    {retry(func(r *presets.Retry) { r.MaxDelay = time.Second }), ""},
		"the longest cap":            {retry(func(r *presets.Retry) { r.MaxDelay = math.MaxInt64 }), ""},
		"multiplier 1":               {retry(func(r *presets.Retry) { r.Multiplier = 1 }), ""},
		"multiplier 100":             {retry(func(r *presets.Retry) { r.Multiplier = 100 }), ""},
		"multiplier 100.1":           {retry(func(r *presets.Retry) { r.Multiplier = 100.1 }), bad + "Multiplier"},
		"multiplier 0.9":             {retry(func(r *presets.Retry) { r.Multiplier = 0.9 }), bad + "Multiplier"},
		"multiplier -1":              {retry(func(r *presets.Retry) { r.Multiplier = -1 }), bad + "Multiplier"},
		"multiplier NaN":             {retry(func(r *presets.Retry) { r.Multiplier = math.NaN() }), bad + "Multiplier"},
		"multiplier infinite":        {retry(func(r *presets.Retry) { r.Multiplier = math.Inf(1) }), bad + "Multiplier"},
		"jitter 1":                   {retry(func(r *presets.Retry) { r.JitterFactor = 1 }), ""},
		"jitter 1.1":                 {retry(func(r *presets.Retry) { r.JitterFactor = 1.1 }), bad + "JitterFactor"},
		"jitter NaN":                 {retry(func(r *presets.Retry) { r.JitterFactor = math.NaN() }), bad + "JitterFactor"},
		"jitter -infinite":           {retry(func(r *presets.Retry) { r.JitterFactor = math.Inf(-1) }), ""},
		"the last strategy":          {retry(func(r *presets.Retry) { r.Strategy = presets.StrategyRandom }), ""},
		"past the last strategy":     {retry(func(r *presets.Retry) { r.Strategy = presets.StrategyRandom + 1 }), bad + "Strategy"},
		"attempts, not enabled":      {presets.Policy{Retry: presets.Retry{Attempts: 2}}, bad + "Attempts"},
		"first wait, not enabled":    {presets.Policy{Retry: presets.Retry{InitialDelay: 1}}, bad + "InitialDelay"},
		"cap, not enabled":           {presets.Policy{Retry: presets.Retry{MaxDelay: time.Hour}}, bad + "MaxDelay"},
		"multiplier, not enabled":    {presets.Policy{Retry: presets.Retry{Multiplier: 2}}, bad + "Multiplier"},
		"jitter, not enabled":        {presets.Policy{Retry: presets.Retry{JitterFactor: -1}}, bad + "JitterFactor"},
		"If, not enabled":            {presets.Policy{Retry: presets.Retry{If: func(error) bool { return true }}}, bad + "If"},
		"strategy, not enabled":      {presets.Policy{Retry: presets.Retry{Strategy: presets.StrategyFixed}}, bad + "Strategy"},
		"enabled, nothing else":      {presets.Policy{Retry: presets.Retry{Enabled: true}}, ""},
		"a preset's own, changed":    {presets.Moderate().With(func(p *presets.Policy) { p.Retry.Attempts = 5 }), bad + "Attempts"},
		"a preset's own If":          {presets.Moderate().With(func(p *presets.Policy) { p.Retry.If = func(error) bool { return true } }), bad + "If"},
		"a preset's own, taken away": {presets.Moderate().With(func(p *presets.Policy) { p.Retry = presets.Retry{} }), ""},
		"its strategy taken away":    {presets.Moderate().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyNone }), ""},
		"a preset's own elsewhere":   {presets.Policy{Retry: presets.Database().Retry}, ""},
		"checks every 10 ms":         {presets.Policy{HealthCheckInterval: 10 * time.Millisecond}, ""},
		"checks every 10 ms less 1":  {presets.Policy{HealthCheckInterval: 10*time.Millisecond - 1}, "HealthCheckInterval"},
		"checks off":                 {presets.Policy{HealthCheckInterval: math.MinInt64}, ""},
	} {
		want := []string{row.fault}
		if row.fault == "" {
			want = nil
		}
		if got := faultFields(t, row.p.Validate()); !slices.Equal(got, want) {
			t.Errorf("%s: Validate tells faults of %q, want %q", name, got, want)
		}
	}
}

// S6: the original's override changed the shared preset, for everyone, and an
// unknown preset was silently another one.
func TestAChangedPolicyIsOneFunctionsOwn(t *testing.T) {
	inBubble(t, "not the preset's", func(t *testing.T) {
		r := registryFor(t, nil)
		inRegistry := func(p *presets.Policy) { p.Registry = r }
		strict := presets.ExternalAPI().With(func(p *presets.Policy) { p.FailureThreshold, p.Retry = 1, presets.Retry{} }).With(inRegistry)
		f, g := failsAlways(), failsAlways()
		callStrict := presets.MustProtect("strict", strict, f.call)
		callPlain := presets.MustProtect("plain", presets.ExternalAPI().WithRetry().With(inRegistry), g.call)
		_, _ = callStrict(t.Context(), "")
		_, _ = callPlain(t.Context(), "")
		stateIs(t, breakerOf(t, r, "strict"), core.Open)
		stateIs(t, breakerOf(t, r, "plain"), core.Closed)
		if f.calls() != 1 || g.calls() != 3 {
			t.Errorf("%d attempts with the override and %d with retries, want 1 and 3", f.calls(), g.calls())
		}
		if got := presets.ExternalAPI(); got.FailureThreshold != 5 || got.Retry.Attempts != 3 {
			t.Errorf("the preset is %+v after the override, want it as it was", got)
		}
		if named, err := presets.Named("external_api"); err != nil || named.FailureThreshold != 5 {
			t.Errorf("the named preset is %+v, %v after the override, want it as it was", named, err)
		}
	})
	inBubble(t, "nor that of a policy that is changed after Protect", func(t *testing.T) {
		p := presets.Moderate()
		p.Registry = registryFor(t, nil)
		p.Health = &core.HealthLimits{SuccessRate: 0.5}
		presets.MustProtectFunc("x", p, func(context.Context) error { return nil })
		p.Health.SuccessRate = 0.1
		if got := p.Registry.Policy("x").Health.SuccessRate; got != 0.5 {
			t.Errorf("the policy in use has a health limit of %v, want 0.5 as it was given", got)
		}
	})
	t.Run("an unknown preset is an error", func(t *testing.T) {
		if _, err := presets.Named("externalapi"); err == nil {
			t.Error("Named(externalapi) = no error, want one")
		}
		p := presets.Policy{Preset: "externalapi", Registry: new(presets.Registry)}
		err := protectNothing("x", p)(t.Context())
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "Preset" {
			t.Errorf("an unknown preset: %v, want a *core.ConfigError about Preset", err)
		}
	})
}
