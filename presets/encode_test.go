package presets_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// drawer draws the parts of a valid Fleet. It keeps to what Validate allows by
// making it, not by trying again.
type drawer struct{ *rapid.T }

// maybe returns what is there already, zero, or what draw gives.
func maybe[T any](d drawer, label string, there T, draw func() T) T {
	switch rapid.IntRange(0, 3).Draw(d.T, label+"?") {
	case 0:
		return there
	case 1:
		var zero T
		return zero
	}
	return draw()
}

// duration is one within bounds, most often a short one of few digits.
func (d drawer) duration(label string, least, most time.Duration) time.Duration {
	v := rapid.OneOf(
		rapid.Int64Range(int64(least), int64(most)),
		rapid.SampledFrom([]int64{int64(least), int64(most), int64(time.Millisecond), int64(time.Second), int64(90 * time.Minute)}),
	).Draw(d.T, label)
	return time.Duration(min(max(v, int64(least)), int64(most)))
}

// any of the durations, negative ones included.
func (d drawer) anyDuration(label string) time.Duration {
	return d.duration(label, math.MinInt64, math.MaxInt64)
}

// share is at most 1, and may be anything below zero.
func (d drawer) share(label string) float64 {
	return rapid.OneOf(
		rapid.Float64Range(0, 1),
		rapid.Float64Range(-math.MaxFloat64, 1),
		rapid.SampledFrom([]float64{1, 0.5, 0.1, 1.0 / 3, 5e-324, -5e-324, math.Nextafter(1, 0), -1, math.Inf(-1), -1e20, 1e-7, 1e-5}),
	).Draw(d.T, label)
}

// factor is none (negative) or 1 to 100.
func (d drawer) factor(label string, negative bool) float64 {
	v := rapid.OneOf(rapid.Float64Range(1, 100), rapid.SampledFrom([]float64{1, 100, 2, 1.5})).Draw(d.T, label)
	if negative && rapid.Bool().Draw(d.T, label+" negative") {
		return -v
	}
	return v
}

// policy draws a policy that starts from base, or from a preset of its own.
func (d drawer) policy(base presets.Policy) presets.Policy {
	p := base.With(func(*presets.Policy) {})
	switch rapid.IntRange(0, 3).Draw(d.T, "from") {
	case 0:
		p = presets.Policy{}
	case 1:
		named, err := presets.Named(rapid.SampledFrom(presets.Names()).Draw(d.T, "preset"))
		if err != nil {
			d.Fatal(err)
		}
		p = named
	}
	// A policy may say that it comes from a preset with which it has nothing in common.
	p.Preset = maybe(d, "name", p.Preset, func() string { return rapid.SampledFrom(presets.Names()).Draw(d.T, "other preset") })

	number := func(label string, there, least, most int) int {
		return maybe(d, label, there, func() int { return rapid.IntRange(least, most).Draw(d.T, label) })
	}
	share := func(label string, there float64) float64 {
		return maybe(d, label, there, func() float64 { return d.share(label) })
	}
	duration := func(label string, there, least, most time.Duration) time.Duration {
		return maybe(d, label, there, func() time.Duration { return d.duration(label, least, most) })
	}
	p.FailureThreshold = number("failures", p.FailureThreshold, math.MinInt, 1000)
	if p.FailureThreshold == 0 && (base.FailureThreshold != 0 || p.Preset != "") {
		p.FailureThreshold = 5 // which a file says in its place, as below
	}
	if p.FailureRateThreshold = share("rate", p.FailureRateThreshold); p.FailureRateThreshold == 0 && base.FailureRateThreshold != 0 {
		p.FailureRateThreshold = 0.5
	}
	p.SlowRateThreshold = share("slow rate", p.SlowRateThreshold)
	p.SlowAfter = maybe(d, "slow after", p.SlowAfter, func() time.Duration { return d.anyDuration("slow after") })
	if p.SlowRateThreshold > 0 && p.SlowAfter <= 0 {
		p.SlowAfter = d.duration("slow", 1, math.MaxInt64)
	}
	p.Window = maybe(d, "window", p.Window, func() core.Window {
		if rapid.Bool().Draw(d.T, "by time") {
			return core.Window{For: d.duration("for", 10*time.Millisecond, 24*time.Hour)}
		}
		return core.Window{Calls: rapid.IntRange(1, 10_000).Draw(d.T, "calls")}
	})
	p.MinimumCalls = number("minimum", p.MinimumCalls, math.MinInt, math.MaxInt)
	if p.FailureRateThreshold < 0 && p.SlowRateThreshold <= 0 { // no rule that would use them
		p.Window, p.MinimumCalls = core.Window{}, min(p.MinimumCalls, 0)
	}
	if p.Window.For == 0 {
		calls := p.Window.Calls
		if calls == 0 {
			calls = 100
		}
		p.MinimumCalls = min(p.MinimumCalls, calls)
	}
	if p.Timeout = duration("timeout", p.Timeout, time.Millisecond, math.MaxInt64); p.Timeout == 0 && (base.Timeout != 0 || p.Preset != "") {
		p.Timeout = time.Minute // which a file says in its place
	}
	least := p.Timeout
	if least == 0 {
		least = time.Minute
	}
	if p.MaxTimeout = duration("max timeout", p.MaxTimeout, least, math.MaxInt64); p.MaxTimeout != 0 {
		p.MaxTimeout = max(p.MaxTimeout, least)
	}
	p.TimeoutFactor = maybe(d, "factor", p.TimeoutFactor, func() float64 { return d.factor("factor", true) })
	p.Jitter = min(share("jitter", p.Jitter), math.Nextafter(1, 0))
	if p.HalfOpenMaxCalls = number("half-open", p.HalfOpenMaxCalls, 0, 10_000); p.HalfOpenMaxCalls == 0 && base.HalfOpenMaxCalls != 0 {
		p.HalfOpenMaxCalls = 3
	}
	if p.SuccessThreshold = number("successes", p.SuccessThreshold, 0, 10_000); p.SuccessThreshold == 0 && (base.SuccessThreshold != 0 || p.Preset != "") {
		p.SuccessThreshold = 2
	}
	p.ProbeTimeout = duration("probe timeout", p.ProbeTimeout, 0, math.MaxInt64)
	p.RampUp = maybe(d, "ramp", p.RampUp, func() time.Duration { return d.anyDuration("ramp") })
	p.CallTimeout = maybe(d, "call timeout", p.CallTimeout, func() time.Duration { return d.anyDuration("call timeout") })
	if p.SlowRateThreshold > 0 && p.CallTimeout > 0 {
		p.SlowAfter = min(p.SlowAfter, p.CallTimeout)
	}
	if p.CallTimeout > 0 {
		p.CallTimeout = max(p.CallTimeout, time.Millisecond)
	}
	if p.ProbeTimeout > 0 {
		p.ProbeTimeout = max(p.ProbeTimeout, p.CallTimeout)
	}
	p.RecentCalls = number("recent calls", p.RecentCalls, math.MinInt, 10_000)
	p.Durations = rapid.Bool().Draw(d.T, "durations")
	p.History = maybe(d, "history", p.History, func() time.Duration {
		if rapid.Bool().Draw(d.T, "history off") {
			return d.duration("history", math.MinInt64, 0)
		}
		return d.duration("history", time.Minute, 24*time.Hour)
	})
	p.Health = maybe(d, "health", p.Health, func() *core.HealthLimits {
		var h core.HealthLimits
		if p.Health != nil {
			h = *p.Health
		}
		h.SuccessRate, h.ErrorRate = share("success rate", h.SuccessRate), share("error rate", h.ErrorRate)
		h.Over = duration("over", h.Over, 0, math.MaxInt64)
		h.Mean = maybe(d, "mean", h.Mean, func() time.Duration { return d.anyDuration("mean") })
		return &h
	})
	if p.Health != nil && p.History > 0 {
		p.Health.Over = min(p.Health.Over, p.History)
	}
	p.HealthCheckInterval = maybe(d, "checks", p.HealthCheckInterval, func() time.Duration {
		if rapid.Bool().Draw(d.T, "checks off") {
			return d.duration("checks", math.MinInt64, 0)
		}
		return d.duration("checks", 10*time.Millisecond, math.MaxInt64)
	})
	if rapid.Bool().Draw(d.T, "retry enabled") {
		p.Retry = d.retry(p.WithRetry().Retry)
		return p
	}
	// Without, a policy says what its preset does, or nothing.
	p.Retry = presets.Retry{}
	if own, err := presets.Named(p.Preset); err == nil && rapid.Bool().Draw(d.T, "as the preset says") {
		p.Retry = own.Retry
	}
	return p
}

func (d drawer) retry(r presets.Retry) presets.Retry {
	r.Strategy = maybe(d, "strategy", r.Strategy, func() presets.Strategy {
		return rapid.SampledFrom([]presets.Strategy{presets.StrategyFixed, presets.StrategyLinear, presets.StrategyExponential, presets.StrategyRandom}).Draw(d.T, "strategy")
	})
	if r.Strategy == presets.StrategyNone {
		r.Strategy = presets.StrategyExponential
	}
	r.Attempts = maybe(d, "attempts", r.Attempts, func() int { return rapid.IntRange(1, 100).Draw(d.T, "attempts") })
	if r.Attempts == 0 {
		r.Attempts = 3 // which a file says in its place
	}
	r.InitialDelay = maybe(d, "first delay", r.InitialDelay, func() time.Duration { return d.duration("first delay", 0, math.MaxInt64) })
	least := r.InitialDelay
	if least == 0 {
		least = time.Second
	}
	if r.MaxDelay = maybe(d, "max delay", r.MaxDelay, func() time.Duration { return d.duration("max delay", least, math.MaxInt64) }); r.MaxDelay != 0 {
		r.MaxDelay = max(r.MaxDelay, least)
	}
	r.Multiplier = maybe(d, "multiplier", r.Multiplier, func() float64 { return d.factor("multiplier", false) })
	r.JitterFactor = maybe(d, "jitter factor", r.JitterFactor, func() float64 { return d.share("jitter factor") })
	return r
}

// name is what a breaker may be called; many mean something else to YAML.
func (d drawer) name() string {
	special := rapid.SampledFrom([]string{
		"a", "payments", "null", "~", "true", "no", "5", "0x1F", "1e5", ".inf", "2001-01-01", "a: b", "a:", ": b", "- x", "-", "? x", "#", "a #b", "<<", "=",
		"!x", "!!str x", "&x", "'", `"`, `a"b'c`, "|", ">", "%x", "@", "`", "{", "}", "[a]", ",", " ", "  a  ", "a\u00a0", "\u2028", "\ufeff", "\ufeffa", "é漢字", "🔌",
		"\u200b", "\ufffd", "a/b:c", "---", "...", "preset", "\U0010ffff", "\ue000", strings.Repeat("word ", 51), strings.Repeat("x", 256),
	})
	free := rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool { return !unicode.IsControl(r) }), 1, 40, 256)
	name := rapid.OneOf(special, free).Draw(d.T, "name")
	if rapid.IntRange(0, 3).Draw(d.T, "pattern?") == 0 {
		name = rapid.SampledFrom([]string{"*", "*" + name, name + "*", "a*" + name}).Draw(d.T, "pattern")
	}
	for strings.Contains(name, "**") {
		name = strings.ReplaceAll(name, "**", "*")
	}
	if long := strings.ReplaceAll(name, "*", ""); len(long) > 256 {
		return "long"
	}
	return name
}

func drawFleet(t *rapid.T) *presets.Fleet {
	d := drawer{t}
	f := &presets.Fleet{
		Registry: presets.Limits{
			Max:  maybe(d, "max", 0, func() int { return rapid.IntRange(0, 1_000_000).Draw(t, "max") }),
			Idle: maybe(d, "idle", 0, func() time.Duration { return d.anyDuration("idle") }),
		},
		StateFile: maybe(d, "state file", "", func() string {
			return rapid.SampledFrom([]string{"state", "/var/lib/x", "a: b", "~", "true", "5", "ü#"}).Draw(t, "state file")
		}),
		Defaults: d.policy(presets.Moderate()),
	}
	n := rapid.IntRange(-1, 4).Draw(t, "policies")
	if n >= 0 {
		f.Policies = make(map[string]presets.Policy)
	}
	for range n {
		f.Policies[d.name()] = d.policy(f.Defaults)
	}
	return f
}

func encode(f *presets.Fleet) (string, error) {
	var b strings.Builder
	err := presets.Encode(&b, f)
	return b.String(), err
}

// Whatever a Fleet says, a file can say.
func TestEncodeAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFleet(t)
		if err := f.Validate(); err != nil {
			t.Fatalf("what was drawn is not valid: %v", err)
		}
		doc, err := encode(f)
		if err != nil {
			t.Fatalf("Encode: %v", err)
		}
		back, err := decode(doc)
		if err != nil {
			t.Fatalf("Decode: %v\n%s", err, doc)
		}
		if !same(back, f) {
			t.Fatalf("after Encode and Decode %s\n%s", differ(*back, *f), doc)
		}
		if again, err := encode(back); err != nil || again != doc {
			t.Fatalf("the second time it is (%v)\n%s\nthe first time\n%s", err, again, doc)
		}
	})
}

// Every document that is understood can be written again, its sections too.
func TestEncodeWhatWasDecoded(t *testing.T) {
	for _, row := range goodDocuments() {
		t.Run(row.name, func(t *testing.T) {
			f, err := decode(row.doc)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := encode(f)
			if err != nil {
				t.Fatalf("Encode: %v", err)
			}
			back, err := decode(doc)
			if err != nil {
				t.Fatalf("Decode: %v\n%s", err, doc)
			}
			if d := differ(said(back), row.want); d != "" {
				t.Errorf("%s\n%s", d, doc)
			}
			if again, err := encode(back); err != nil || again != doc {
				t.Errorf("the second time it is (%v)\n%s\nthe first time\n%s", err, again, doc)
			}
		})
	}
}

// The text is for people: presets by name, only what differs, everything in the
// same order each time.
func TestEncodeText(t *testing.T) {
	f := &presets.Fleet{
		Registry: presets.Limits{Max: 500, Idle: -1},
		Defaults: presets.Moderate().With(func(p *presets.Policy) { p.Durations = false }),
		Policies: map[string]presets.Policy{
			"payments": presets.ExternalAPI().With(func(p *presets.Policy) {
				p.Durations, p.FailureThreshold = false, 3
				p.Retry.Enabled, p.Retry.Attempts = true, 2
				p.Window.For = 90 * time.Second
			}),
			"billing-*": presets.Database().With(func(p *presets.Policy) {
				p.Retry, p.Durations, p.Health = presets.Retry{}, false, &core.HealthLimits{ErrorRate: 0.5}
			}),
			"as defaults": presets.Moderate().With(func(p *presets.Policy) { p.Durations = false }),
			"off":         presets.Moderate().With(func(p *presets.Policy) { p.Durations, p.Retry.Strategy = false, presets.StrategyNone }),
			"zero":        {},
			"5":           presets.Moderate(),
		},
	}
	want := `registry:
  max: 500
  idle: -1ns
defaults:
  durations: false
policies:
  "5":
    durations: true
  as defaults: {}
  billing-*:
    preset: database
    health:
      error_rate: 0.5
    retry:
      strategy: none
  off:
    retry:
      enabled: false
  payments:
    preset: external_api
    failure_threshold: 3
    window:
      for: 1m30s
    retry:
      enabled: true
      attempts: 2
  zero:
    preset: none
`
	for range 20 {
		got, err := encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ReplaceAll(got, "'5'", `"5"`) != want {
			t.Fatalf("Encode gives\n%s\nwant\n%s", got, want)
		}
	}
	if got, err := encode(&presets.Fleet{Defaults: presets.Moderate()}); err != nil || got != "{}\n" {
		t.Errorf("Encode of nothing but defaults gives %q, %v", got, err)
	}
	if got, err := encode(new(presets.Fleet)); err != nil || got != "defaults:\n  preset: none\n" {
		t.Errorf("Encode of the zero Fleet gives %q, %v", got, err)
	}
}

// Fields that are not part of a file do not stand in its way, and are not written.
func TestEncodeLeavesOutFuncs(t *testing.T) {
	p := presets.Moderate().With(func(p *presets.Policy) {
		p.HealthCheck = nil
		p.Retry = p.WithRetry().Retry
		p.Retry.If = func(error) bool { return true }
		p.Now = time.Now
		p.Registry = new(presets.Registry)
	})
	got, err := encode(&presets.Fleet{Defaults: p, Policies: map[string]presets.Policy{"a": p}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(got)
	if err != nil {
		t.Fatalf("Decode: %v\n%s", err, got)
	}
	want := presets.Fleet{Defaults: presets.Moderate().WithRetry(), Policies: map[string]presets.Policy{"a": presets.Moderate().WithRetry()}}
	if d := differ(said(back), want); d != "" {
		t.Errorf("%s\n%s", d, got)
	}
}

func TestEncodeRefusesWhatIsNotValid(t *testing.T) {
	for name, f := range map[string]*presets.Fleet{
		"a policy":   {Policies: map[string]presets.Policy{"a": {Config: core.Config{Timeout: -1}}}},
		"defaults":   {Defaults: presets.Policy{Preset: "bogus"}},
		"the size":   {Registry: presets.Limits{Max: -1}},
		"a name":     {Policies: map[string]presets.Policy{"a\n": {}}},
		"a pattern":  {Policies: map[string]presets.Policy{"a**": {}}},
		"NaN":        {Defaults: presets.Policy{Config: core.Config{Jitter: math.NaN()}}},
		"a strategy": {Defaults: presets.Policy{Retry: presets.Retry{Strategy: 5}}},
	} {
		got, err := encode(f)
		if _, ok := errors.AsType[*core.ConfigError](err); !ok {
			t.Errorf("%s: %v, want a ConfigError", name, err)
		}
		if want := f.Validate(); err != nil && err.Error() != want.Error() {
			t.Errorf("%s: %v, want what Validate says: %v", name, err, want)
		}
		if got != "" {
			t.Errorf("%s: %q was written", name, got)
		}
	}
	if got, err := encode(nil); err == nil || got != "" {
		t.Errorf("a nil Fleet gives %q, %v, want an error", got, err)
	}
}

// A Fleet that is too large for a file is an error, and no file that cannot be
// read.
func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	for name, size := range map[string]int{"many values": 30, "many bytes": 250} {
		f := &presets.Fleet{Policies: make(map[string]presets.Policy)}
		for i := range 12_000 {
			f.Policies[fmt.Sprintf("%s%d", strings.Repeat("x", size), i)] = presets.Policy{}
		}
		if doc, err := encode(f); err == nil || doc != "" || !strings.Contains(err.Error(), "does not fit into a file") {
			t.Errorf("%s: Encode writes %d bytes and says %v, want an error", name, len(doc), err)
		}
	}
	// One that fits, just.
	f := &presets.Fleet{Policies: make(map[string]presets.Policy)}
	for i := range 9_000 {
		f.Policies[fmt.Sprintf("%s%d", strings.Repeat("x", 90), i)] = presets.Policy{}
	}
	doc, err := encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decode(doc); err != nil || !same(back, f) {
		t.Errorf("of %d bytes Decode says %v, want the same", len(doc), err)
	}
}

// A deep nesting takes more to write than to read, for each level is
// indented.
func TestEncodeOfDeepSections(t *testing.T) {
	for _, depth := range []int{1, 10, 99} {
		f, err := decode("ralph: " + strings.Repeat("{a: ", depth) + strings.Repeat("}", depth))
		if err != nil {
			t.Errorf("%d levels: %v", depth, err)
			continue
		}
		doc, err := encode(f)
		if err != nil {
			t.Errorf("%d levels: %v", depth, err)
			continue
		}
		if _, err := decode(doc); err != nil {
			t.Errorf("%d levels: Encode writes %d bytes of which Decode says: %v", depth, len(doc), err)
		}
	}
}

type fullDisk struct {
	after int
	err   error
}

func (w *fullDisk) Write(p []byte) (int, error) {
	n := min(w.after, len(p))
	w.after -= n
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

func TestEncodePassesOnWhatTheWriterSays(t *testing.T) {
	full := errors.New("disk full")
	f := everyFieldRead()
	for _, after := range []int{0, 1, 100} {
		if err := presets.Encode(&fullDisk{after, full}, &f); !errors.Is(err, full) {
			t.Errorf("after %d bytes: %v, want %v", after, err, full)
		}
	}
	// Writing is not what changes a Fleet.
	if d := differ(f, everyFieldRead()); d != "" {
		t.Errorf("Encode changed the Fleet: %s", d)
	}
}

// Sections of other packages are written as they were read: values, types and
// order, without what only the text had.
func TestEncodeKeepsSections(t *testing.T) {
	doc := `
# comments go
export: {token: "12345", text: "two\nlines", odd: "a\tb\u0085c ", list: [1, "1", 1.0, ~, "~", true, "true", {k: v}], "5": x, empty: {}, none: []} # go
ralph: !!map
  block: |
    of text

      indented
  folded: >
    one
    line
  when: 2001-01-01
  data: !!binary aGVsbG8=
  odd: !own value
`
	f, err := decode(doc)
	if err != nil {
		t.Fatal(err)
	}
	first, err := encode(f)
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(first)
	if err != nil {
		t.Fatalf("Decode: %v\n%s", err, first)
	}
	if second, err := encode(back); err != nil || second != first {
		t.Errorf("the second time it is (%v)\n%s\nthe first time\n%s", err, second, first)
	}
	if strings.Contains(first, "comments") || strings.Contains(first, "go\n") {
		t.Errorf("comments are kept:\n%s", first)
	}
	type section struct {
		Token string `json:"token"`
		Text  string `json:"text"`
		Odd   string `json:"odd"`
	}
	var got, want section
	want = section{Token: "12345", Text: "two\nlines", Odd: "a\tb\u0085c "}
	// The section has more fields than the struct: each is an error, and the rest is read.
	if _, err := back.Section("export", &got); err == nil {
		t.Error("a section of fields that are not known gives no error")
	}
	if got != want {
		t.Errorf("the section is %+v, want %+v\n%s", got, want, first)
	}
	for _, part := range []string{"2001-01-01", "!!binary", "!own"} {
		if !bytes.Contains([]byte(first), []byte(part)) {
			t.Errorf("%q was lost:\n%s", part, first)
		}
	}
}
