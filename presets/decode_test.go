package presets_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// good is a document that is understood, and what it says.
type good struct {
	name, doc string
	want      presets.Fleet
}

// one is a Fleet with Defaults as they are without any, and one policy.
func one(p presets.Policy) presets.Fleet { return some(map[string]presets.Policy{"a": p}) }

func some(policies map[string]presets.Policy) presets.Fleet {
	return presets.Fleet{Defaults: presets.Moderate(), Policies: policies}
}

// moderate is what a policy starts from when the file has no defaults.
func moderate(change func(p *presets.Policy)) presets.Policy { return presets.Moderate().With(change) }

// everyField gives every field that a file can give, each another value than
// zero. The window by time has a policy of its own: the two exclude each other.
const everyField = `
registry:
  max: 5000
  idle: 30m
defaults:
  preset: database
policies:
  all:
    preset: external_api
    failure_threshold: 7
    failure_rate_threshold: 0.5
    slow_rate_threshold: 0.25
    slow_after: 1s
    minimum_calls: 10
    window: {calls: 50}
    timeout: 45s
    max_timeout: 5m
    timeout_factor: 1.5
    jitter: 0.125
    half_open_max_calls: 4
    success_threshold: 3
    probe_timeout: 20s
    ramp_up: 1m30s
    call_timeout: 1.5s
    durations: true
    history: 1h
    recent_calls: 20
    health: {success_rate: 0.9, error_rate: 0.1, over: 10m, mean: 700ms}
    health_check_interval: 3s
    retry:
      enabled: true
      strategy: random
      attempts: 4
      initial_delay: 100ms
      max_delay: 2s
      multiplier: 3
      jitter_factor: 0.25
  by-time:
    window: {for: 10s}
`

func everyFieldRead() presets.Fleet {
	return presets.Fleet{
		Registry: presets.Limits{Max: 5000, Idle: 30 * time.Minute},
		Defaults: presets.Database(),
		Policies: map[string]presets.Policy{
			"all": {
				Preset: "external_api",
				Config: core.Config{
					FailureThreshold: 7, FailureRateThreshold: 0.5, SlowRateThreshold: 0.25, SlowAfter: time.Second,
					MinimumCalls: 10, Window: core.Window{Calls: 50},
					Timeout: 45 * time.Second, MaxTimeout: 5 * time.Minute, TimeoutFactor: 1.5, Jitter: 0.125,
					HalfOpenMaxCalls: 4, SuccessThreshold: 3, ProbeTimeout: 20 * time.Second, RampUp: 90 * time.Second,
					CallTimeout: 1500 * time.Millisecond, Durations: true, History: time.Hour, RecentCalls: 20,
					Health: &core.HealthLimits{SuccessRate: 0.9, ErrorRate: 0.1, Over: 10 * time.Minute, Mean: 700 * time.Millisecond},
				},
				HealthCheckInterval: 3 * time.Second,
				Retry: presets.Retry{
					Enabled: true, Strategy: presets.StrategyRandom, Attempts: 4, InitialDelay: 100 * time.Millisecond, MaxDelay: 2 * time.Second,
					Multiplier: 3, JitterFactor: 0.25,
				},
			},
			"by-time": presets.Database().With(func(p *presets.Policy) { p.Window.For = 10 * time.Second }),
		},
	}
}

func goodDocuments() []good {
	const s, ms = time.Second, time.Millisecond
	type policies = map[string]presets.Policy
	rows := []good{
		{"nothing but defaults", `{}`, some(nil)},
		{"no policies", `policies: {}`, some(policies{})},
		{"a state file", `state_file: /var/lib/shop/breakers.state`, presets.Fleet{StateFile: "/var/lib/shop/breakers.state", Defaults: presets.Moderate()}},
		{"a policy of nothing", `policies: {a: {}}`, one(presets.Moderate())},
		{"every field", everyField, everyFieldRead()},
		{"a byte order mark", "\ufeffpolicies: {a: {timeout: 5s}}", one(moderate(func(p *presets.Policy) { p.Timeout = 5 * s }))},
		{"a document that is marked as one", "---\npolicies: {a: {timeout: 5s}}\n...\n", one(moderate(func(p *presets.Policy) { p.Timeout = 5 * s }))},
		{"comments", "# the fleet\npolicies: # of breakers\n  # one\n  a: {} # of nothing\n# the end", one(presets.Moderate())},
		{"carriage returns", "policies:\r\n  a:\r\n    timeout: 5s\r\n", one(moderate(func(p *presets.Policy) { p.Timeout = 5 * s }))},
		{"every duration in milliseconds", `
registry: {idle_ms: 60000}
defaults: {preset: none}
policies:
  a:
    slow_after_ms: 1
    timeout_ms: 60000
    max_timeout_ms: 120000
    probe_timeout_ms: 10
    ramp_up_ms: 4
    call_timeout_ms: 5
    history_ms: 60000
    health_check_interval_ms: 1000
    health: {over_ms: 6, mean_ms: 7}
    window: {for_ms: 10000}
    retry: {enabled: true, strategy: fixed, initial_delay_ms: 8, max_delay_ms: 9}
`, presets.Fleet{
			Registry: presets.Limits{Idle: time.Minute},
			Policies: policies{"a": {
				Config: core.Config{
					SlowAfter: 1 * ms, Timeout: time.Minute, MaxTimeout: 2 * time.Minute, ProbeTimeout: 10 * ms, RampUp: 4 * ms,
					CallTimeout: 5 * ms, History: time.Minute, Health: &core.HealthLimits{Over: 6 * ms, Mean: 7 * ms},
					Window: core.Window{For: 10 * s},
				},
				HealthCheckInterval: s,
				Retry:               presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 8 * ms, MaxDelay: 9 * ms},
			}},
		}},
		{"all that can be switched off", `
registry: {idle: -1s}
policies:
  a:
    preset: none
    failure_threshold: -1
    failure_rate_threshold: -1
    slow_rate_threshold: -0.5
    slow_after: -1ns
    minimum_calls: -1
    timeout_factor: -1
    jitter: -1
    ramp_up_ms: -5
    call_timeout: -1h
    history: -1s
    health: {success_rate: -1, error_rate: -.inf, mean: -1s}
    health_check_interval: -1s
    retry: {enabled: true, strategy: fixed, jitter_factor: -1}
`, presets.Fleet{
			Registry: presets.Limits{Idle: -s},
			Defaults: presets.Moderate(),
			Policies: policies{"a": {
				Config: core.Config{
					FailureThreshold: -1, FailureRateThreshold: -1, SlowRateThreshold: -0.5, SlowAfter: -1, MinimumCalls: -1, TimeoutFactor: -1,
					Jitter: -1, RampUp: -5 * ms, CallTimeout: -time.Hour, History: -s,
					Health: &core.HealthLimits{SuccessRate: -1, ErrorRate: negativeInfinity(), Mean: -s},
				},
				HealthCheckInterval: -s,
				Retry:               presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, JitterFactor: -1},
			}},
		}},
		{"zero over what is not", `
policies:
  a:
    call_timeout: 0s
    retry: {enabled: true, initial_delay_ms: 0, max_delay: "0"}
`, one(presets.Policy{
			Preset: "moderate", Retry: presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, Attempts: 3},
			Config: core.Config{FailureThreshold: 5, SuccessThreshold: 2, Timeout: time.Minute, Durations: true, History: 5 * time.Minute, RecentCalls: 100},
		})},
		{"durations of every unit", `
policies:
  a: {timeout: 1h30m}
  b: {timeout: 500ms}
  c: {timeout: "60s"}
  d: {timeout: 1h2m3s4ms5us6ns}
  e: {timeout: 1.5h}
  f: {timeout: .5s}
  g: {timeout: +5s}
  h: {timeout: 7000µs}
  i: {timeout: 8000μs}
`, some(policies{
			"a": moderate(func(p *presets.Policy) { p.Timeout = 90 * time.Minute }),
			"b": moderate(func(p *presets.Policy) { p.Timeout = 500 * ms }),
			"c": presets.Moderate(),
			"d": moderate(func(p *presets.Policy) {
				p.Timeout = time.Hour + 2*time.Minute + 3*s + 4*ms + 5*time.Microsecond + 6
			}),
			"e": moderate(func(p *presets.Policy) { p.Timeout = 90 * time.Minute }),
			"f": moderate(func(p *presets.Policy) { p.Timeout = 500 * ms }),
			"g": moderate(func(p *presets.Policy) { p.Timeout = 5 * s }),
			"h": moderate(func(p *presets.Policy) { p.Timeout = 7 * ms }),
			"i": moderate(func(p *presets.Policy) { p.Timeout = 8 * ms }),
		})},
		{"a whole number for a share", `policies: {a: {failure_rate_threshold: 1, timeout_factor: 2}}`, one(moderate(func(p *presets.Policy) {
			p.FailureRateThreshold, p.TimeoutFactor = 1, 2
		}))},
		{"a share in the notation of science", `policies: {a: {failure_rate_threshold: 5e-1, jitter: 1.25E-1}}`, one(moderate(func(p *presets.Policy) {
			p.FailureRateThreshold, p.Jitter = 0.5, 0.125
		}))},
		{"every strategy by every name", `
policies:
  a: {retry: {strategy: none}}
  b: {retry: {enabled: true, strategy: fixed}}
  c: {retry: {enabled: true, strategy: fixed_delay}}
  d: {retry: {enabled: true, strategy: linear}}
  e: {retry: {enabled: true, strategy: linear_backoff}}
  f: {retry: {enabled: true, strategy: exponential}}
  g: {retry: {enabled: true, strategy: exponential_backoff}}
  h: {retry: {enabled: true, strategy: random}}
  i: {retry: {enabled: true, strategy: random_jitter}}
`, some(policies{
			"a": moderate(func(p *presets.Policy) { p.Retry = presets.Retry{} }),
			"b": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyFixed }),
			"c": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyFixed }),
			"d": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyLinear }),
			"e": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyLinear }),
			"f": presets.Moderate().WithRetry(),
			"g": presets.Moderate().WithRetry(),
			"h": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyRandom }),
			"i": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyRandom }),
		})},
		{"layers", `
defaults:
  preset: database
  timeout: 45s
  max_timeout: 3m
  durations: true
  window: {for: 10s}
  health: {success_rate: 0.5, mean: 1s}
policies:
  as-defaults: {}
  own: {success_threshold: 7}
  other-preset: {preset: aggressive, call_timeout: 1s}
  same-preset: {preset: database}
  none: {preset: none}
  none-and-own: {preset: none, timeout: 1s}
  window: {window: {calls: 5}}
  no-window: {window: {}}
  health: {health: {success_rate: 0.75}}
  no-health: {health: null}
  no-health-either: {health: ~}
  health-as-it-is: {health: {}}
  retry: {retry: {enabled: true, attempts: 5}}
  no-retry: {retry: {strategy: none}}
  retry-as-it-is: {retry: {}}
`, func() presets.Fleet {
			base := presets.Database().With(func(p *presets.Policy) {
				p.Timeout, p.MaxTimeout, p.Durations = 45*s, 3*time.Minute, true
				p.Window.For = 10 * s
				p.Health = &core.HealthLimits{SuccessRate: 0.5, Mean: s}
			})
			aggressive := presets.Aggressive()
			return presets.Fleet{Defaults: base, Policies: policies{
				"as-defaults": base,
				"own":         base.With(func(p *presets.Policy) { p.SuccessThreshold = 7 }),
				"other-preset": base.With(func(p *presets.Policy) {
					p.Preset, p.FailureThreshold, p.SuccessThreshold = "aggressive", aggressive.FailureThreshold, aggressive.SuccessThreshold
					p.Timeout, p.CallTimeout, p.Retry = aggressive.Timeout, s, presets.Retry{}
				}),
				"same-preset":      base.With(func(p *presets.Policy) { p.Timeout = presets.Database().Timeout }),
				"none":             {},
				"none-and-own":     {Config: core.Config{Timeout: s}},
				"window":           base.With(func(p *presets.Policy) { p.Window = core.Window{Calls: 5} }),
				"no-window":        base.With(func(p *presets.Policy) { p.Window = core.Window{} }),
				"health":           base.With(func(p *presets.Policy) { p.Health.SuccessRate = 0.75 }),
				"no-health":        base.With(func(p *presets.Policy) { p.Health = nil }),
				"no-health-either": base.With(func(p *presets.Policy) { p.Health = nil }),
				"health-as-it-is":  base,
				"retry":            base.WithRetry().With(func(p *presets.Policy) { p.Retry.Attempts = 5 }),
				"no-retry":         base.With(func(p *presets.Policy) { p.Retry = presets.Retry{} }),
				"retry-as-it-is":   base,
			}}
		}()},
		{"defaults after policies", `{policies: {a: {}}, defaults: {preset: aggressive}}`, presets.Fleet{
			Defaults: presets.Aggressive(), Policies: policies{"a": presets.Aggressive()},
		}},
		{"defaults without a preset start from moderate", `defaults: {timeout: 5s}`, presets.Fleet{
			Defaults: moderate(func(p *presets.Policy) { p.Timeout = 5 * s }),
		}},
		{"defaults of nothing", `{defaults: {preset: none}, policies: {a: {}}}`, presets.Fleet{Policies: policies{"a": {}}}},
		{"the preset is laid before the fields, wherever it stands", `policies: {a: {timeout: 5s, preset: aggressive}}`, one(presets.Aggressive().With(func(p *presets.Policy) {
			p.Timeout = 5 * s
		}))},
		{"no preset where there is one below", `policies: {a: {preset: none, failure_threshold: 9}}`, one(presets.Policy{Config: core.Config{FailureThreshold: 9}})},
		{"health of its own", `policies: {a: {health: {}}}`, one(moderate(func(p *presets.Policy) { p.Health = &core.HealthLimits{} }))},
		{"a document of the original system", `
policies:
  a:
    failure_threshold: 4
    timeout_ms: 30000
    success_threshold: 1
    half_open_max_calls: 2
    sliding_window_size: 60
    enable_health_checks: true
    health_check_interval_ms: 30000
    retry_enabled: true
    retry_strategy: exponential_backoff
    retry_attempts: 4
    retry_initial_delay_ms: 500
    retry_max_delay_ms: 30000
    retry_multiplier: 1.5
    retry_jitter: false
`, one(moderate(func(p *presets.Policy) {
			p.FailureThreshold, p.Timeout, p.SuccessThreshold, p.HalfOpenMaxCalls = 4, 30*s, 1, 2
			p.Window.Calls = 60
			p.HealthCheckInterval = 30 * s
			p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, Attempts: 4, InitialDelay: 500 * ms, MaxDelay: 30 * s, Multiplier: 1.5, JitterFactor: -1}
		}))},
		{"the original's retry, field by field", `
policies:
  strategy: {retry_enabled: true, retry_strategy: fixed_delay}
  attempts: {retry_enabled: true, retry_attempts: 7}
  initial-delay: {retry_enabled: true, retry_initial_delay: 2s}
  max-delay: {retry_enabled: true, retry_max_delay: 20s}
  multiplier: {retry_enabled: true, retry_multiplier: 4}
  jitter-factor: {retry_enabled: true, retry_jitter_factor: 0.5}
  jitter: {retry_jitter: true, retry_enabled: true}
  no-jitter: {retry_jitter: false, retry_enabled: true}
  within: {retry: {jitter: false, attempts: 2, enabled: true}}
  strategy-none: {retry_strategy: none}
`, some(policies{
			"strategy":      presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Strategy = presets.StrategyFixed }),
			"attempts":      presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Attempts = 7 }),
			"initial-delay": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.InitialDelay = 2 * s }),
			"max-delay":     presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.MaxDelay = 20 * s }),
			"multiplier":    presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Multiplier = 4 }),
			"jitter-factor": presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.JitterFactor = 0.5 }),
			"jitter":        presets.Moderate().WithRetry(),
			"no-jitter":     presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.JitterFactor = -1 }),
			"within":        presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.JitterFactor, p.Retry.Attempts = -1, 2 }),
			"strategy-none": moderate(func(p *presets.Policy) { p.Retry = presets.Retry{} }),
		})},
		{"the original's retry, on and off", `
policies:
  off: {retry_enabled: false}
  off-in-a-word: {retry: false}
  none-in-a-word: {retry: none}
  on-in-a-word: {retry: true}
  off-with-the-rest: {retry_enabled: false, retry_attempts: 4, retry_jitter: false, retry_strategy: fixed_delay}
  off-last: {retry_jitter: false, retry_attempts: 4, retry_enabled: false}
  off-within: {retry: {enabled: false, attempts: 3}}
  on: {retry_enabled: true}
  on-where-there-is-none: {preset: aggressive, retry_enabled: true}
  on-without-jitter: {preset: aggressive, retry_jitter: false, retry_enabled: true}
  on-within: {preset: aggressive, retry: {jitter: false, enabled: true, attempts: 6}}
`, some(policies{
			"off":                    presets.Moderate(),
			"off-in-a-word":          presets.Moderate(),
			"none-in-a-word":         moderate(func(p *presets.Policy) { p.Retry = presets.Retry{} }),
			"on-in-a-word":           presets.Moderate().WithRetry(),
			"off-with-the-rest":      presets.Moderate(),
			"off-last":               presets.Moderate(),
			"off-within":             presets.Moderate(),
			"on":                     presets.Moderate().WithRetry(),
			"on-where-there-is-none": presets.Aggressive().WithRetry(),
			"on-without-jitter": presets.Aggressive().With(func(p *presets.Policy) {
				p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, JitterFactor: -1}
			}),
			"on-within": presets.Aggressive().With(func(p *presets.Policy) {
				p.Retry = presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, JitterFactor: -1, Attempts: 6}
			}),
		})},
		{"retries that the defaults enable", `
defaults: {retry_enabled: true}
policies:
  as-defaults: {}
  its-own-way: {preset: database}
  never: {preset: agent_execution}
  never-in-a-word: {retry: false}
  asked: {preset: agent_execution, retry_enabled: true, retry_attempts: 2}
  other: {retry: {attempts: 2}}
`, presets.Fleet{Defaults: presets.Moderate().WithRetry(), Policies: policies{
			"as-defaults":     presets.Moderate().WithRetry(),
			"its-own-way":     presets.Database().WithRetry(),
			"never":           presets.AgentExecution(),
			"never-in-a-word": presets.Moderate(),
			"asked":           presets.AgentExecution().WithRetry().With(func(p *presets.Policy) { p.Retry.Attempts = 2 }),
			"other":           presets.Moderate().WithRetry().With(func(p *presets.Policy) { p.Retry.Attempts = 2 }),
		}}},
		{"what every preset keeps, unless the defaults say otherwise", `
defaults: {durations: false, history: 1h, recent_calls: -1}
policies: {a: {preset: database}, b: {preset: database, durations: true}}
`, func() presets.Fleet {
			own := func(p *presets.Policy) { p.Durations, p.History, p.RecentCalls = false, time.Hour, -1 }
			return presets.Fleet{Defaults: moderate(own), Policies: policies{
				"a": presets.Database().With(own), "b": presets.Database().With(own).With(func(p *presets.Policy) { p.Durations = true }),
			}}
		}()},
		{"the original's window replaces one by time", `{defaults: {window: {for: 10s}}, policies: {a: {sliding_window_size: 30}}}`, presets.Fleet{
			Defaults: moderate(func(p *presets.Policy) { p.Window.For = 10 * s }),
			Policies: policies{"a": moderate(func(p *presets.Policy) { p.Window.Calls = 30 })},
		}},
		{"the original's health checks", `
policies:
  a: {enable_health_checks: false}
  b: {enable_health_checks: true, health_check_interval: 3s}
  c: {health_check_interval: 3s, enable_health_checks: false}
`, some(policies{
			"a": moderate(func(p *presets.Policy) { p.HealthCheckInterval = -s }),
			"b": moderate(func(p *presets.Policy) { p.HealthCheckInterval = 3 * s }),
			"c": moderate(func(p *presets.Policy) { p.HealthCheckInterval = -s }),
		})},
		{"JSON", `{"registry": {"max": 7}, "policies": {"a": {"preset": "aggressive", "timeout": "5s", "durations": true, "jitter": 0.5, "health": null}}}`, presets.Fleet{
			Registry: presets.Limits{Max: 7}, Defaults: presets.Moderate(),
			Policies: policies{"a": presets.Aggressive().With(func(p *presets.Policy) { p.Timeout, p.Durations, p.Jitter = 5*s, true, 0.5 })},
		}},
		{"JSON indented by tabs", "{\n\t\"policies\": {\n\t\t\"a\": {\n\t\t\t\"timeout\": \"5s\"\n\t\t}\n\t}\n}\n", one(moderate(func(p *presets.Policy) { p.Timeout = 5 * s }))},
		{"JSON on lines that end in commas", "{\n  \"policies\":\n  {\n    \"a\": {},\n    \"b\\u00e9\\/\": {}\n  }\n}", some(policies{"a": presets.Moderate(), "bé/": presets.Moderate()})},
		{"names of all kinds", `
policies:
  zahlung-größe: {}
  支払い: {}
  "db:eu/orders": {}
  with space: {}
  "5": {}
  "true": {}
  'null': {}
  "~": {}
  "🔌": {}
  "<<": {}
  it's: {}
  preset: {}
`, some(policies{
			"zahlung-größe": presets.Moderate(), "支払い": presets.Moderate(), "db:eu/orders": presets.Moderate(), "with space": presets.Moderate(),
			"5": presets.Moderate(), "true": presets.Moderate(), "null": presets.Moderate(), "~": presets.Moderate(), "🔌": presets.Moderate(),
			"<<": presets.Moderate(), "it's": presets.Moderate(), "preset": presets.Moderate(),
		})},
		{"patterns", `
policies:
  "*": {preset: aggressive}
  "billing-*": {preset: database}
  '*-eu-*': {preset: database}
  a*b: {}
`, some(policies{
			"*": presets.Aggressive(), "billing-*": presets.Database(), "*-eu-*": presets.Database(), "a*b": presets.Moderate(),
		})},
		{"the longest name, and a pattern for it", fmt.Sprintf(`policies: {%s: {}, "%s*": {}}`, strings.Repeat("é", 128), strings.Repeat("x", 256)), some(policies{
			strings.Repeat("é", 128): presets.Moderate(), strings.Repeat("x", 256) + "*": presets.Moderate(),
		})},
		{"the bounds of every number", `
registry: {max: 1000000}
policies:
  a:
    failure_threshold: 1000
    failure_rate_threshold: 1.0
    window: {calls: 10000}
    minimum_calls: 10000
    timeout_factor: 100
    half_open_max_calls: 10000
    success_threshold: 10000
    history: 24h
    health: {success_rate: 1, error_rate: 1, over: 24h}
    health_check_interval: 10ms
    recent_calls: 10000
    retry: {enabled: true, attempts: 100, multiplier: 100, jitter_factor: 1}
  b: {window: {for: 24h}, history: 1m, retry: {enabled: true, attempts: 1, multiplier: 1}, timeout_factor: 1}
  c: {window: {for: 10ms}}
`, presets.Fleet{
			Registry: presets.Limits{Max: 1_000_000}, Defaults: presets.Moderate(),
			Policies: policies{
				"a": moderate(func(p *presets.Policy) {
					p.FailureThreshold, p.FailureRateThreshold, p.Window.Calls, p.MinimumCalls = 1000, 1, 10_000, 10_000
					p.TimeoutFactor, p.HalfOpenMaxCalls, p.SuccessThreshold, p.History = 100, 10_000, 10_000, 24*time.Hour
					p.Health = &core.HealthLimits{SuccessRate: 1, ErrorRate: 1, Over: 24 * time.Hour}
					p.HealthCheckInterval = 10 * ms
					p.RecentCalls = 10_000
					p.Retry.Enabled, p.Retry.Attempts, p.Retry.Multiplier, p.Retry.JitterFactor = true, 100, 100, 1
				}),
				"b": moderate(func(p *presets.Policy) {
					p.Window.For, p.History, p.TimeoutFactor = 24*time.Hour, time.Minute, 1
					p.Retry.Enabled, p.Retry.Attempts, p.Retry.Multiplier = true, 1, 1
				}),
				"c": moderate(func(p *presets.Policy) { p.Window.For = 10 * ms }),
			},
		}},
		{"sections of other packages", `
ralph: {max_turns: 5, "quoted": "7", nested: {list: [1, two, ~, 1.5], on: false}}
failsafe: {}
export:
  token: "12345"
  text: "two\nlines\tand a tab"
  empty: ""
  block: |
    of text

    with a gap
policies: {a: {}}
`, one(presets.Moderate())},
		{"the text of a block", "policies:\n  a:\n    preset: >-\n      aggressive\n", one(presets.Aggressive())},
		{"keys and values on lines of their own", "? policies\n: ? a\n  : preset:\n      aggressive\n", one(presets.Aggressive())},
		{"tags that say what is so anyway", `policies: !!map {a: {failure_threshold: !!int "3", preset: !!str moderate, durations: !!bool true, jitter: !!float 0.5, timeout: !!str 5s}}`, one(moderate(func(p *presets.Policy) {
			p.FailureThreshold, p.Durations, p.Jitter, p.Timeout = 3, true, 0.5, 5*s
		}))},
	}
	for _, name := range presets.Names() {
		p, err := presets.Named(name)
		if err != nil {
			panic(err)
		}
		rows = append(rows, good{"the preset " + name, "policies: {a: {preset: " + name + "}}", one(p)})
	}
	return rows
}

func negativeInfinity() float64 {
	zero := 0.0
	return -1 / zero
}

// said returns what a Fleet says, without what it remembers of its file.
func said(f *presets.Fleet) presets.Fleet {
	return presets.Fleet{Registry: f.Registry, StateFile: f.StateFile, Defaults: f.Defaults, Policies: f.Policies}
}

func decode(doc string) (*presets.Fleet, error) { return presets.Decode(strings.NewReader(doc)) }

// same is reflect.DeepEqual, which go vet would not have for a Policy: that one
// holds funcs of errors, all of which are nil here.
func same(a, b any) bool { return reflect.DeepEqual(asRead(a), asRead(b)) }

// asRead is a Policy or a Fleet with the marks that it has once it is read from a
// file.
func asRead(v any) any {
	switch v := v.(type) {
	case presets.Policy:
		v.RetriesEnabled = v.Retry.Enabled
		return v
	case *presets.Fleet:
		f := said(v)
		f.Defaults.RetriesEnabled = f.Defaults.Retry.Enabled
		f.Policies = maps.Clone(f.Policies)
		for name, p := range f.Policies {
			p.RetriesEnabled = p.Retry.Enabled
			f.Policies[name] = p
		}
		return f
	}
	return v
}

// differ tells the first policy in which two Fleets are not the same.
func differ(got, want presets.Fleet) string {
	if got.Registry != want.Registry || got.StateFile != want.StateFile {
		return fmt.Sprintf("registry is %+v, in the file %q, want %+v in %q", got.Registry, got.StateFile, want.Registry, want.StateFile)
	}
	if !same(got.Defaults, want.Defaults) {
		return "defaults are " + shownPolicy(got.Defaults) + ", want " + shownPolicy(want.Defaults)
	}
	if (got.Policies == nil) != (want.Policies == nil) {
		return fmt.Sprintf("policies are nil: %t, want %t", got.Policies == nil, want.Policies == nil)
	}
	for name, p := range want.Policies {
		q, ok := got.Policies[name]
		if !ok {
			return fmt.Sprintf("no policy of %q", name)
		}
		if !same(q, p) {
			return fmt.Sprintf("the policy of %q is %s, want %s", name, shownPolicy(q), shownPolicy(p))
		}
	}
	for name := range got.Policies {
		if _, ok := want.Policies[name]; !ok {
			return fmt.Sprintf("a policy of %q, want none", name)
		}
	}
	return ""
}

func shownPolicy(p presets.Policy) string {
	health := "no health"
	if p.Health != nil {
		health = fmt.Sprintf("health %+v", *p.Health)
		p.Health = nil
	}
	return fmt.Sprintf("%+v with %s", p, health)
}

func TestDecodeUnderstands(t *testing.T) {
	for _, row := range goodDocuments() {
		t.Run(row.name, func(t *testing.T) {
			f, err := decode(row.doc)
			if err != nil {
				t.Fatalf("Decode: %v\n%s", err, row.doc)
			}
			if d := differ(said(f), row.want); d != "" {
				t.Error(d)
			}
			if err := f.Validate(); err != nil {
				t.Errorf("what was decoded is not valid: %v", err)
			}
		})
	}
}

// A field that is added must be added to the table, too.
func TestEveryFieldIsInTheTable(t *testing.T) {
	f := everyFieldRead()
	given := make(map[string]bool)
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		for _, field := range reflect.VisibleFields(v.Type()) {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || key == "" || key == "-" {
				continue
			}
			inner := v.FieldByIndex(field.Index)
			given[path+key] = given[path+key] || !inner.IsZero()
			if inner.Kind() == reflect.Struct || inner.Kind() == reflect.Pointer && !inner.IsNil() {
				walk(inner, path+key+".")
			}
		}
	}
	walk(reflect.ValueOf(f.Registry), "registry.")
	for _, p := range f.Policies {
		walk(reflect.ValueOf(p), "")
	}
	if len(given) < 30 {
		t.Errorf("%d fields were found, want all of them", len(given))
	}
	for path, ok := range given {
		if !ok {
			t.Errorf("%s is zero in the document of every field", path)
		}
	}
}

// bad is a document that is refused. In doc each ‸ stands before the place of a
// fault and is taken out, in the order of faults.
type bad struct {
	name, doc string
	faults    []fault
	schema    bool // a JSON Schema can tell as well
}

type fault struct {
	field, problem string // the field, and a part of what is wrong with it
	config         string // the Field of the ConfigError that is wrapped, if there is one
	nowhere        bool   // it has no place
}

const caret = "‸"

// placed returns the document of a row, and the places of its faults.
func (b bad) placed() (doc string, places [][2]int) {
	parts := strings.Split(b.doc, caret)
	for _, part := range parts[:len(parts)-1] {
		doc += part
		line := strings.Count(doc, "\n") + 1
		column := utf8.RuneCountInString(doc[strings.LastIndexByte(doc, '\n')+1:]) + 1
		places = append(places, [2]int{line, column})
	}
	return doc + parts[len(parts)-1], places
}

// fault1 is a row's only fault; allowed1 is that of a value which is not allowed.
func fault1(field, problem string) []fault { return []fault{{field: field, problem: problem}} }

func allowed1(field, config, problem string) []fault {
	return []fault{{field: field, config: config, problem: problem}}
}

func nowhere1(problem string) []fault { return []fault{{problem: problem, nowhere: true}} }

func badDocuments() []bad {
	long := strings.Repeat("x", 257)
	rows := []bad{
		// Fields that are not known, at every level.
		{"an unknown section", `{‸bogus: 1}`, fault1("bogus", "is not a known field"), true},
		{"a misspelt section", "‸polices:\n  a: {}\n", fault1("polices", `is not a known field; did you mean "policies"?`), true},
		{"another package's section, misspelt", `‸exprot: {}`, fault1("exprot", `did you mean "export"?`), true},
		{"an unknown field of the registry", `registry: {‸maximum: 5}`, fault1("registry.maximum", "is not a known field"), true},
		{"a misspelt field of the registry", `registry: {‸idel: 5s}`, fault1("registry.idel", `did you mean "idle"?`), true},
		{"a misspelt field of the defaults", "defaults:\n  preset: moderate\n  ‸failure_treshold: 3\n", fault1("defaults.failure_treshold", `is not a known field; did you mean "failure_threshold"?`), true},
		{"a misspelt field of a policy", "policies:\n  a:\n    ‸failure_treshold: 3\n", fault1("policies.a.failure_treshold", `is not a known field; did you mean "failure_threshold"?`), true},
		{"a misspelt field of a window", `policies: {a: {window: {‸call: 3}}}`, fault1("policies.a.window.call", `did you mean "calls"?`), true},
		{"a misspelt field of a retry", `policies: {a: {retry: {‸initial_dely: 3s}}}`, fault1("policies.a.retry.initial_dely", `did you mean "initial_delay"?`), true},
		{"a misspelt field of health", `policies: {a: {health: {‸success_rat: 1}}}`, fault1("policies.a.health.success_rat", `did you mean "success_rate"?`), true},
		{"a misspelt field of the original", `policies: {a: {‸slidingwindow_size: 3}}`, fault1("policies.a.slidingwindow_size", `did you mean "sliding_window_size"?`), true},
		{"a misspelt field of the original's retry", `policies: {a: {‸retry_atempts: 3}}`, fault1("policies.a.retry_atempts", `did you mean "retry_attempts"?`), true},
		{"the Go name of a field", `policies: {a: {‸FailureThreshold: 3}}`, fault1("policies.a.FailureThreshold", "is not a known field"), true},
		{"the embedded struct", `policies: {a: {‸Config: {timeout: 3s}}}`, fault1("policies.a.Config", "is not a known field"), true},
		{"a field that is not part of a file", `policies: {a: {‸health_check: true}}`, fault1("policies.a.health_check", "is not a known field"), true},
		{"another, of the retry", `policies: {a: {retry: {‸if: always}}}`, fault1("policies.a.retry.if", "is not a known field"), true},
		{"milliseconds of what is no duration", `policies: {a: {‸failure_threshold_ms: 3}}`, fault1("policies.a.failure_threshold_ms", "is not a known field"), true},
		{"a field of the registry in a policy", `policies: {a: {‸max: 3}}`, fault1("policies.a.max", "is not a known field"), true},
		{"an empty field", `policies: {a: {‸"": 3}}`, fault1("policies.a.", "is not a known field"), true},
		{"an unknown field that is long", `{‸` + strings.Repeat("k", 100) + `: 1}`, fault1(strings.Repeat("k", 64)+"…", "is not a known field"), true},

		// Presets and strategies that are not known.
		{"a misspelt preset", "policies:\n  a:\n    preset: ‸externalapi\n", allowed1("policies.a.preset", "Preset", `is "externalapi", allowed: conservative, moderate, `), true},
		{"a preset without a name", `policies: {a: {preset: ‸""}}`, fault1("policies.a.preset", `is "", allowed: none, conservative, `), true},
		{"a misspelt preset of the defaults", `defaults: {preset: ‸moderat}`, allowed1("defaults.preset", "Preset", `did you mean "moderate"?`), true},
		{"a preset of capitals", `defaults: {preset: ‸Moderate}`, allowed1("defaults.preset", "Preset", `did you mean "moderate"?`), true},
		{"a misspelt strategy", `policies: {a: {retry: {strategy: ‸exponentail}}}`, allowed1("policies.a.retry.strategy", "Strategy", `is "exponentail", allowed: none, fixed, linear, exponential or random; did you mean "exponential"?`), true},
		{"a misspelt strategy of the original", `policies: {a: {retry_strategy: ‸fixed_dely}}`, allowed1("policies.a.retry_strategy", "Strategy", `did you mean "fixed_delay"?`), true},
		{"an unknown strategy", `policies: {a: {retry_strategy: ‸fibonacci}}`, allowed1("policies.a.retry_strategy", "Strategy", `is "fibonacci", allowed: none, fixed`), true},

		// Values of another type.
		{"text for a number", `policies: {a: {failure_threshold: ‸five}}`, fault1("policies.a.failure_threshold", `must be a whole number, and is "five"`), true},
		{"a number in quotes", `policies: {a: {failure_threshold: ‸"5"}}`, fault1("policies.a.failure_threshold", `must be a whole number, and is "5"`), true},
		{"a part of a number", `policies: {a: {failure_threshold: ‸2.5}}`, fault1("policies.a.failure_threshold", "must be a whole number, and is 2.5"), true},
		{"a number that is too large", `policies: {a: {failure_threshold: ‸99999999999999999999}}`, fault1("policies.a.failure_threshold", "must be a whole number, and is 99999999999999999999"), true},
		{"yes for true", `policies: {a: {durations: ‸yes}}`, fault1("policies.a.durations", `must be true or false, and is "yes"`), true},
		{"a number for true", `policies: {a: {durations: ‸1}}`, fault1("policies.a.durations", "must be true or false, and is 1"), true},
		{"text for a share", `policies: {a: {failure_rate_threshold: ‸50%}}`, fault1("policies.a.failure_rate_threshold", `must be a number, and is "50%"`), true},
		{"a share that no float holds", `policies: {a: {failure_rate_threshold: ‸1e999}}`, fault1("policies.a.failure_rate_threshold", "must be a number, and is"), true},
		{"a number for a preset", `policies: {a: {preset: ‸5}}`, fault1("policies.a.preset", "must be text, and is 5"), true},
		{"fields for a preset", `policies: {a: {preset: ‸{name: moderate}}}`, fault1("policies.a.preset", "must be text, and is a set of fields"), true},
		{"a list for a preset", `policies: {a: {preset: ‸[moderate]}}`, fault1("policies.a.preset", "must be text, and is a list"), true},
		{"a number for a strategy", `policies: {a: {retry: {strategy: ‸1}}}`, fault1("policies.a.retry.strategy", "must be text, and is 1"), true},
		{"false for the original's jitter", `policies: {a: {jitter: ‸false}}`, fault1("policies.a.jitter", "must be a number, and is false"), true},
		{"text for a switch of the original", `policies: {a: {enable_health_checks: ‸on}}`, fault1("policies.a.enable_health_checks", `must be true or false, and is "on"`), true},
		{"text for another", `policies: {a: {retry_enabled: ‸maybe}}`, fault1("policies.a.retry_enabled", `must be true or false, and is "maybe"`), true},
		{"a list for a policy", `policies: {a: ‸[]}`, fault1("policies.a", `must have fields, "name: value", and is a list`), true},
		{"a preset for a policy", `policies: {a: ‸moderate}`, fault1("policies.a", `must have fields, "name: value", and is "moderate"`), true},
		{"a number for a window", `policies: {a: {window: ‸100}}`, fault1("policies.a.window", `must have fields, "name: value", and is 100`), true},
		{"a strategy for a retry", `policies: {a: {retry: ‸fixed}}`, fault1("policies.a.retry", `must have fields, "name: value", and is "fixed"`), true},
		{"true for health", `policies: {a: {health: ‸true}}`, fault1("policies.a.health", `must have fields, "name: value", and is true`), true},
		{"a list of policies", "policies:\n  ‸- a\n  - b\n", fault1("policies", `must have fields, "name: value", and is a list`), true},
		{"a list for the defaults", `defaults: ‸[]`, fault1("defaults", `must have fields, "name: value", and is a list`), true},
		{"a number for the registry", `registry: ‸5000`, fault1("registry", `must have fields, "name: value", and is 5000`), true},
		{"a list for another package's section", `ralph: ‸[1]`, fault1("ralph", `must have fields, "name: value", and is a list`), true},
		{"text for another package's section", `failsafe: ‸on`, fault1("failsafe", `must have fields, "name: value", and is "on"`), true},

		// Durations.
		{"a duration without a unit", `policies: {a: {timeout: ‸60}}`, fault1("policies.a.timeout", "has no unit: 60; write 60s, or timeout_ms: 60 for milliseconds"), true},
		{"a fraction without a unit", `policies: {a: {timeout: ‸1.5}}`, fault1("policies.a.timeout", "has no unit: 1.5; write 1.5s"), true},
		{"the original's duration without a unit", `policies: {a: {retry_initial_delay: ‸60}}`, fault1("policies.a.retry_initial_delay", "write 60s, or retry_initial_delay_ms: 60 for milliseconds"), true},
		{"a duration without a unit, in quotes", `policies: {a: {timeout: ‸"60"}}`, fault1("policies.a.timeout", `must be a duration such as 500ms, 60s or 1h30m, and is "60"`), true},
		{"a duration in days", `policies: {a: {timeout: ‸1d}}`, fault1("policies.a.timeout", `must be a duration such as 500ms, 60s or 1h30m, and is "1d"`), true},
		{"a duration with spaces", `policies: {a: {timeout: ‸1h 30m}}`, fault1("policies.a.timeout", `must be a duration`), true},
		{"a duration of no length", `policies: {a: {timeout: ‸""}}`, fault1("policies.a.timeout", `must be a duration such as 500ms, 60s or 1h30m, and is ""`), true},
		{"true for a duration", `policies: {a: {timeout: ‸true}}`, fault1("policies.a.timeout", `must be a duration such as 500ms, 60s or 1h30m, and is true`), true},
		{"infinity for a duration", `policies: {a: {timeout: ‸.inf}}`, fault1("policies.a.timeout", `must be a duration such as 500ms, 60s or 1h30m, and is .inf`), false},
		{"fields for a duration", `policies: {a: {timeout: ‸{seconds: 5}}}`, fault1("policies.a.timeout", `and is a set of fields`), true},
		{"a duration that is too long", `policies: {a: {timeout: ‸9999999999h}}`, fault1("policies.a.timeout", `must be a duration such as 500ms, 60s or 1h30m, and is "9999999999h"`), false},
		{"milliseconds with a unit", `policies: {a: {timeout_ms: ‸60s}}`, fault1("policies.a.timeout_ms", `must be a whole number of milliseconds, and is "60s"`), true},
		{"a part of a millisecond", `policies: {a: {timeout_ms: ‸1.5}}`, fault1("policies.a.timeout_ms", "must be a whole number of milliseconds, and is 1.5"), true},
		{"milliseconds in quotes", `policies: {a: {timeout_ms: ‸"60"}}`, fault1("policies.a.timeout_ms", `must be a whole number of milliseconds, and is "60"`), true},
		{"more milliseconds than there is time", `policies: {a: {timeout_ms: ‸9223372036855}}`, fault1("policies.a.timeout_ms", "must be a whole number of milliseconds, and is 9223372036855"), true},
		{"fewer milliseconds than there is time", `policies: {a: {call_timeout_ms: ‸-9223372036855}}`, fault1("policies.a.call_timeout_ms", "must be a whole number of milliseconds"), true},
		{"more milliseconds than a number holds", `policies: {a: {timeout_ms: ‸99999999999999999999}}`, fault1("policies.a.timeout_ms", "must be a whole number of milliseconds"), true},
		{"the original's milliseconds with a unit", `policies: {a: {retry_max_delay_ms: ‸5s}}`, fault1("policies.a.retry_max_delay_ms", `must be a whole number of milliseconds, and is "5s"`), true},

		// Values that are not there.
		{"no value for a policy", "policies:\n  a:‸\n", fault1("policies.a", `must have fields, "name: value", and is empty`), true},
		{"null for a policy", `policies: {a: ‸null}`, fault1("policies.a", `and is empty`), true},
		{"null for the policies", `policies: ‸~`, fault1("policies", `must have fields, "name: value", and is empty`), true},
		{"null for the defaults", `defaults: ‸null`, fault1("defaults", `and is empty`), true},
		{"null for the registry", `registry: ‸null`, fault1("registry", `and is empty`), true},
		{"null for another package's section", `export: ‸null`, fault1("export", `must have fields, "name: value", and is empty`), true},
		{"null for a number", `policies: {a: {failure_threshold: ‸null}}`, fault1("policies.a.failure_threshold", "must be a whole number, and is empty"), true},
		{"null for a share", `policies: {a: {jitter: ‸}}`, fault1("policies.a.jitter", "must be a number, and is empty"), true},
		{"null for a duration", `policies: {a: {timeout: ‸~}}`, fault1("policies.a.timeout", "must be a duration such as 500ms, 60s or 1h30m, and is empty"), true},
		{"null for milliseconds", `policies: {a: {timeout_ms: ‸null}}`, fault1("policies.a.timeout_ms", "must be a whole number of milliseconds, and is empty"), true},
		{"null for true", `policies: {a: {durations: ‸null}}`, fault1("policies.a.durations", "must be true or false, and is empty"), true},
		{"null for a preset", `policies: {a: {preset: ‸null}}`, fault1("policies.a.preset", "must be text, and is empty"), true},
		{"null for a strategy", `policies: {a: {retry: {strategy: ‸null}}}`, fault1("policies.a.retry.strategy", "must be text, and is empty"), true},
		{"null for a retry", `policies: {a: {retry: ‸null}}`, fault1("policies.a.retry", `and is empty`), true},
		{"null for a window", `policies: {a: {window: ‸null}}`, fault1("policies.a.window", `and is empty`), true},

		// Values that are not allowed, at the place of the value.
		{"too many failures", `policies: {a: {failure_threshold: ‸1001}}`, allowed1("policies.a.failure_threshold", "FailureThreshold", "is 1001, allowed: at most 1000"), true},
		{"a percentage for a share", `policies: {a: {failure_rate_threshold: ‸50}}`, allowed1("policies.a.failure_rate_threshold", "FailureRateThreshold", "is 50, allowed: in (0, 1]"), true},
		{"NaN", `policies: {a: {failure_rate_threshold: ‸.nan}}`, allowed1("policies.a.failure_rate_threshold", "FailureRateThreshold", "is NaN, allowed: in (0, 1]"), false},
		{"NaN for a factor", `policies: {a: {timeout_factor: ‸.NaN}}`, allowed1("policies.a.timeout_factor", "TimeoutFactor", "is NaN"), false},
		{"NaN in a retry", `policies: {a: {retry: {multiplier: ‸.nan}}}`, allowed1("policies.a.retry.multiplier", "Retry.Multiplier", "is NaN"), false},
		{"NaN for a jitter factor", `policies: {a: {retry_jitter_factor: ‸.nan}}`, allowed1("policies.a.retry_jitter_factor", "Retry.JitterFactor", "is NaN"), false},
		{"NaN in health", `policies: {a: {health: {error_rate: ‸.nan}}}`, allowed1("policies.a.health.error_rate", "Health.ErrorRate", "is NaN"), false},
		{"infinity", `policies: {a: {jitter: ‸.inf}}`, allowed1("policies.a.jitter", "Jitter", "is +Inf, allowed: in (0, 1)"), false},
		{"minus infinity where no negative number may be", `policies: {a: {retry: {multiplier: ‸-.inf}}}`, allowed1("policies.a.retry.multiplier", "Retry.Multiplier", "is -Inf"), false},
		{"slow calls without what is slow", `policies: {a: ‸{slow_rate_threshold: 0.5}}`, allowed1("policies.a.slow_after", "SlowAfter", "is 0s, allowed: positive when slow_rate_threshold is set"), false},
		{"a slow rate above 1", `policies: {a: {slow_rate_threshold: ‸2, slow_after: 1s}}`, allowed1("policies.a.slow_rate_threshold", "SlowRateThreshold", "is 2"), true},
		{"a negative window", `policies: {a: {window: {calls: ‸-5}}}`, allowed1("policies.a.window.calls", "Window.Calls", "is -5, allowed: 1 to 10000"), true},
		{"a window too wide", `policies: {a: {window: {calls: ‸10001}}}`, allowed1("policies.a.window.calls", "Window.Calls", "is 10001"), true},
		{"the original's window in milliseconds", `policies: {a: {sliding_window_size: ‸60000}}`, allowed1("policies.a.sliding_window_size", "Window.Calls", "is 60000, allowed: 1 to 10000"), true},
		{"a window too long", `policies: {a: {window: {for: ‸25h}}}`, allowed1("policies.a.window.for", "Window.For", "is 25h0m0s, allowed: 10ms to 24h"), false},
		{"a window too short", `policies: {a: {window: {for_ms: ‸9}}}`, allowed1("policies.a.window.for", "Window.For", "is 9ms"), false},
		{"both windows", `policies: {a: {window: ‸{calls: 5, for: 10s}}}`, allowed1("policies.a.window", "Window", "allowed: either calls or for, not both"), false},
		{"more calls than the window has", `policies: {a: {minimum_calls: ‸101}}`, allowed1("policies.a.minimum_calls", "MinimumCalls", "is 101, allowed: at most window.calls (100)"), false},
		{"a timeout below zero", `policies: {a: {timeout: ‸-1s}}`, allowed1("policies.a.timeout", "Timeout", "is -1s, allowed: positive; 0 for 60s"), true},
		{"a timeout below zero in milliseconds", `policies: {a: {timeout_ms: ‸-1}}`, allowed1("policies.a.timeout", "Timeout", "is -1ms, allowed: positive"), true},
		{"a cap below the timeout", `policies: {a: {max_timeout: ‸30s}}`, allowed1("policies.a.max_timeout", "MaxTimeout", "is 30s, allowed: at least timeout (1m0s)"), false},
		{"a factor below 1", `policies: {a: {timeout_factor: ‸0.5}}`, allowed1("policies.a.timeout_factor", "TimeoutFactor", "is 0.5, allowed: 1 to 100"), true},
		{"a factor above 100", `policies: {a: {timeout_factor: ‸101}}`, allowed1("policies.a.timeout_factor", "TimeoutFactor", "is 101"), true},
		{"all of it as jitter", `policies: {a: {jitter: ‸1}}`, allowed1("policies.a.jitter", "Jitter", "is 1, allowed: in (0, 1)"), true},
		{"probes below zero", `policies: {a: {half_open_max_calls: ‸-1}}`, allowed1("policies.a.half_open_max_calls", "HalfOpenMaxCalls", "is -1"), true},
		{"too many successes", `policies: {a: {success_threshold: ‸10001}}`, allowed1("policies.a.success_threshold", "SuccessThreshold", "is 10001"), true},
		{"a probe timeout that is off", `policies: {a: {probe_timeout: ‸-1s}}`, allowed1("policies.a.probe_timeout", "ProbeTimeout", "is -1s, allowed: positive; 0 for 30s; it cannot be off"), true},
		{"too little history", `policies: {a: {history: ‸1s}}`, allowed1("policies.a.history", "History", "is 1s, allowed: 1m to 24h"), false},
		{"health above 1", `policies: {a: {health: {success_rate: ‸80}}}`, allowed1("policies.a.health.success_rate", "Health.SuccessRate", "is 80, allowed: at most 1"), true},
		{"health over less than nothing", `policies: {a: {health: {over: ‸-1s}}}`, allowed1("policies.a.health.over", "Health.Over", "is -1s, allowed: positive"), true},
		{"health over more than there is", `policies: {a: {history: 1m, health: {over: ‸5m}}}`, allowed1("policies.a.health.over", "Health.Over", "is 5m0s, allowed: at most history"), false},
		{"too many attempts", `policies: {a: {retry: {attempts: ‸101}}}`, allowed1("policies.a.retry.attempts", "Retry.Attempts", "is 101, allowed: 1 to 100"), true},
		{"too many attempts, as in the original", `policies: {a: {retry_attempts: ‸101}}`, allowed1("policies.a.retry_attempts", "Retry.Attempts", "is 101, allowed: 1 to 100"), true},
		{"a delay below zero", `policies: {a: {retry: {initial_delay: ‸-1s}}}`, allowed1("policies.a.retry.initial_delay", "Retry.InitialDelay", "is -1s"), true},
		{"a cap below the first delay", `policies: {a: {retry: {initial_delay: 5s, max_delay: ‸4s}}}`, allowed1("policies.a.retry.max_delay", "Retry.MaxDelay", "is 4s, allowed: at least initial_delay"), false},
		{"a first delay above the cap of the preset", `policies: {a: {retry: ‸{initial_delay: 11s}}}`, allowed1("policies.a.retry.max_delay", "Retry.MaxDelay", "is 10s, allowed: at least initial_delay"), false},
		{"a multiplier below 1", `policies: {a: {retry: {multiplier: ‸0.5}}}`, allowed1("policies.a.retry.multiplier", "Retry.Multiplier", "is 0.5, allowed: 1 to 100"), true},
		{"more jitter than all", `policies: {a: {retry: {jitter_factor: ‸1.5}}}`, allowed1("policies.a.retry.jitter_factor", "Retry.JitterFactor", "is 1.5, allowed: in (0, 1]"), true},
		{"attempts that are not enabled", `policies: {a: {preset: aggressive, retry: {attempts: ‸2}}}`, fault1("policies.a.retry", "says how calls are made again, which they are not; add retry_enabled: true"), false},
		{"a strategy that is not enabled", `policies: {a: {retry: {strategy: ‸fixed}}}`, fault1("policies.a.retry", "add retry_enabled: true"), false},
		{"the original's retry that is not enabled", "policies:\n  a:\n    retry_strategy: ‸exponential_backoff\n    retry_attempts: 3\n", fault1("policies.a.retry", "add retry_enabled: true"), false},
		{"jitter that is not enabled", `policies: {a: {retry_jitter: ‸true}}`, fault1("policies.a.retry", "add retry_enabled: true"), false},
		{"a retry of the defaults that is not enabled", `defaults: {retry: {strategy: ‸linear, attempts: 9}}`, fault1("defaults.retry", "add retry_enabled: true"), false},
		{"attempts of no strategy", `policies: {a: {retry: {strategy: ‸none, attempts: 2}}}`, fault1("policies.a.retry", "says how calls are made again"), false},
		{"no strategy, and enabled", `policies: {a: {retry: {enabled: true, strategy: ‸none}}}`, fault1("policies.a.retry.strategy", "is none while retries are enabled, allowed: fixed"), false},
		{"no strategy, and enabled, as in the original", `policies: {a: {retry_strategy: ‸none, retry_enabled: true}}`, fault1("policies.a.retry_strategy", "is none while retries are enabled"), false},
		{"a state file that is none", `state_file: ‸[a]`, fault1("state_file", "must be text, and is a list"), true},
		{"a state file without a name", `state_file: ‸~`, fault1("state_file", "must be text, and is empty"), true},
		{"a state file of two lines", `state_file: ‸"a\nb"`, fault1("state_file", "without control characters"), true},
		{"a state file twice", "state_file: a\n‸state_file: b\n", fault1("state_file", "is given twice"), false},
		{"a state file, misspelt", `‸statefile: a`, fault1("statefile", `did you mean "state_file"?`), true},
		{"no time open", `policies: {a: {timeout: ‸0s}}`, fault1("policies.a.timeout", "is 0, which would stand for 60s"), false},
		{"no time open, in milliseconds", `policies: {a: {timeout_ms: ‸0}}`, fault1("policies.a.timeout", "is 0, which would stand for 60s"), false},
		{"no attempts", `policies: {a: {retry: {enabled: true, attempts: ‸0}}}`, fault1("policies.a.retry.attempts", "is 0, which would stand for 3"), false},
		{"no attempts, as in the original", `policies: {a: {retry_enabled: true, retry_attempts: ‸0}}`, fault1("policies.a.retry_attempts", "retry: false"), false},
		{"a time of nanoseconds", `policies: {a: {timeout: ‸60ns}}`, allowed1("policies.a.timeout", "Timeout", "is 60ns, allowed: at least 1ms; a number without a unit is nanoseconds: write 60 * time.Millisecond"), false},
		{"a window without a rule, by the original's name", "policies:\n  a:\n    failure_rate_threshold: -1\n    sliding_window_size: ‸50\n", allowed1("policies.a.sliding_window_size", "Window", "only with a rate"), false},
		{"a word that is no retry", `policies: {a: {retry: ‸sometimes}}`, fault1("policies.a.retry", `must have fields, "name: value", and is "sometimes"`), true},
		{"the retry switched by a word and a name", `policies: {a: {retry: true, ‸retry_enabled: true}}`, fault1("policies.a.retry_enabled", "is given twice"), false},
		{"health checks without a pause", `policies: {a: {health_check_interval: ‸9ms}}`, allowed1("policies.a.health_check_interval", "HealthCheckInterval", "is 9ms, allowed: at least 10ms"), false},
		{"a registry below zero", `registry: {max: ‸-1}`, allowed1("registry.max", "Registry.Max", "is -1, allowed: 1 to 1000000; 0 for 10000"), true},
		{"a registry without bounds", `registry: {max: ‸1000001}`, allowed1("registry.max", "Registry.Max", "is 1000001"), true},
		{"defaults that are not allowed", `defaults: {timeout: ‸-1s}`, allowed1("defaults.timeout", "Timeout", "is -1s"), true},

		// Fields given twice.
		{"a section twice", "policies: {}\n‸policies: {}\n", fault1("policies", "is given twice; the first is in line 1"), false},
		{"another package's section twice", "ralph: {}\n\n‸ralph: {}\n", fault1("ralph", "is given twice; the first is in line 1"), false},
		{"a policy twice", "policies:\n  a: {}\n  b: {}\n  ‸a: {}\n", fault1("policies.a", "is given twice; the first is in line 2"), false},
		{"a policy twice, once in quotes", `policies: {a: {}, ‸"a": {}}`, fault1("policies.a", "is given twice; the first is in line 1"), false},
		{"a field twice", "policies:\n  a:\n    timeout: 5s\n    ‸timeout: 5s\n", fault1("policies.a.timeout", "is given twice; the first is in line 3"), false},
		{"a preset twice", `policies: {a: {preset: database, ‸preset: moderate}}`, fault1("policies.a.preset", "is given twice"), false},
		{"a field of a retry twice", `policies: {a: {retry: {attempts: 2, ‸attempts: 2}}}`, fault1("policies.a.retry.attempts", "is given twice"), false},
		{"a field by two names", "policies:\n  a:\n    timeout: 5s\n    ‸timeout_ms: 5000\n", fault1("policies.a.timeout_ms", "is given twice; the first, by another name, is in line 3"), true},
		{"a field of the registry by two names", `registry: {idle_ms: 5, ‸idle: 5ms}`, fault1("registry.idle", "is given twice; the first, by another name, is in line 1"), true},
		{"a field of a window by two names", `policies: {a: {window: {for: 5s, ‸for_ms: 5000}}}`, fault1("policies.a.window.for_ms", "by another name"), true},
		{"the window by two names", `policies: {a: {window: {calls: 50}, ‸sliding_window_size: 50}}`, fault1("policies.a.sliding_window_size", "is given twice; the first, by another name, is in line 1"), true},
		{"the window by two names, the original's first", `policies: {a: {sliding_window_size: 50, ‸window: {}}}`, fault1("policies.a.window", "by another name"), true},
		{"a field of the retry by two names", `policies: {a: {retry: {attempts: 2}, ‸retry_attempts: 2}}`, fault1("policies.a.retry_attempts", "is given twice; the first, by another name, is in line 1"), true},
		{"a field of the retry by two names, the original's first", `policies: {a: {retry_attempts: 2, retry: {‸attempts: 2}}}`, fault1("policies.a.retry.attempts", "by another name"), true},
		{"a delay of the retry by two names", `policies: {a: {retry_max_delay: 12s, ‸retry_max_delay_ms: 12000}}`, fault1("policies.a.retry_max_delay_ms", "by another name"), true},

		{"the retry switched by two names", `policies: {a: {retry_enabled: true, retry: {‸enabled: false}}}`, fault1("policies.a.retry.enabled", "is given twice; the first, by another name, is in line 1"), true},
		{"the jitter switched by two names", `policies: {a: {retry: {jitter: true}, ‸retry_jitter: false}}`, fault1("policies.a.retry_jitter", "is given twice; the first, by another name, is in line 1"), true},

		// Names and patterns.
		{"an empty name", `policies: {‸"": {}}`, allowed1("policies.", "name", `is "", allowed: 1 to 256 bytes`), true},
		{"a name that is too long", `policies: {‸` + long + `: {}}`, allowed1("policies."+long[:64]+"…", "name", `"… (257 bytes), allowed: 1 to 256 bytes`), true},
		{"a name with a line feed", `policies: {‸"a\nb": {}}`, allowed1(`policies."a\nb"`, "name", `is "a\nb", allowed: 1 to 256 bytes of UTF-8 without control characters`), true},
		{"a name with a zero byte", `policies: {‸"a\0": {}}`, allowed1(`policies."a\x00"`, "name", `is "a\x00"`), true},
		{"a name with an escape", `policies: {‸"\e[31m": {}}`, allowed1(`policies."\x1b[31m"`, "name", `is "\x1b[31m"`), true},
		{"a name with a control character of Latin-1", `policies: {‸"a\N": {}}`, allowed1(`policies."a\u0085"`, "name", `is "a\u0085"`), true},
		{"a pattern that no name matches", `policies: {‸"a\n*": {}}`, allowed1(`policies."a\n*"`, "pattern", `is "a\n*", allowed: one that some name matches`), true},
		{"a pattern that is longer than any name", `policies: {‸"*` + long + `": {}}`, allowed1("policies.*"+long[:63]+"…", "pattern", "allowed: one that some name matches"), false},
		{"a pattern of two stars", `policies: {‸"a**": {}}`, allowed1("policies.a**", "pattern", `is "a**", allowed: single *; write "a*"`), true},
		{"a pattern of stars alone", `policies: {‸"***": {}}`, allowed1("policies.***", "pattern", `write "*"`), true},
		{"a pattern that another hides", `policies: {"a*": {}, ‸"a**": {}}`, allowed1("policies.a**", "pattern", `allowed: one that matches other names than "a*" does`), true},
		{"a number for a name", `policies: {‸5: {}}`, fault1("policies", "has a field whose name is no text; put it in quotes"), false},
		{"true for a name", `policies: {‸true: {}}`, fault1("policies", "has a field whose name is no text; put it in quotes"), false},
		{"null for a name", `policies: {‸~: {}}`, fault1("policies", "has a field whose name is no text"), false},
		{"a list for a name", `policies: {? ‸[a] : {}}`, fault1("policies", "has a field whose name is no text"), false},
		{"fields for a name", `policies: {? ‸{a: b} : {}}`, fault1("policies", "has a field whose name is no text"), false},
		{"a number for a field", `policies: {a: {‸5: 1}}`, fault1("policies.a", "has a field whose name is no text"), false},

		// Features of YAML that a configuration does not need.
		{"an anchor", `policies: {a: ‸&a {}}`, fault1("the document", "has an anchor or an alias, which are not read"), false},
		{"an anchor of a name", `policies: {‸&a a: {}}`, fault1("the document", "has an anchor or an alias"), false},
		{"an anchor of all", `‸&a {policies: {}}`, fault1("the document", "has an anchor or an alias"), false},
		{"an anchor in another package's section", `ralph: {x: [‸&a 1]}`, fault1("the document", "has an anchor or an alias"), false},
		{"an alias", `policies: {a: ‸&x {}, b: *x}`, fault1("the document", "has an anchor or an alias"), false},
		{"an alias of nothing", `policies: {a: ‸*x}`, fault1("", "unknown anchor 'x' referenced"), false},
		{"an alias of nothing that is long", "policies: {a: ‸*" + strings.Repeat("x", 1<<18) + "}", fault1("", "unknown anchor 'xxxx"), false},
		{"an alias of itself", `policies: ‸&x {a: *x}`, fault1("the document", "has an anchor or an alias"), false},
		{"a merge key", `policies: {a: {‸<<: {timeout: 1s}}}`, fault1("policies.a", "has a field whose name is no text"), false},
		{"a merge key and an alias", "x: ‸&x {timeout: 1s}\npolicies:\n  a:\n    <<: *x\n", fault1("the document", "has an anchor or an alias"), false},
		{"a bomb of aliases", "ralph:\n  a: ‸" + strings.TrimPrefix(aliasBomb(9), "a: "), fault1("the document", "has an anchor or an alias"), false},
		{"binary for text", `policies: {a: {preset: ‸!!binary bW9kZXJhdGU=}}`, fault1("policies.a.preset", "must be text, and is of the type !!binary"), false},
		{"binary for a strategy", `policies: {a: {retry: {strategy: ‸!!binary Zml4ZWQ=}}}`, fault1("policies.a.retry.strategy", "must be text"), false},
		{"a tag of its own on a number", `policies: {a: {failure_threshold: ‸!foo 3}}`, fault1("policies.a.failure_threshold", "must be a whole number"), false},
		{"a tag of its own on true", `policies: {a: {durations: ‸!foo true}}`, fault1("policies.a.durations", "must be true or false"), false},
		{"a tag of its own on text", `policies: {a: {preset: ‸!foo moderate}}`, fault1("policies.a.preset", "must be text"), false},
		{"a tag of its own on a name", `policies: {‸!foo a: {}}`, fault1("policies", "has a field whose name is no text"), false},
		{"a tag of its own on a duration", `policies: {a: {timeout: ‸!foo 60s}}`, fault1("policies.a.timeout", "must be a duration"), false},
		{"the tag of a number on a duration", `policies: {a: {timeout: ‸!!int 60s}}`, fault1("policies.a.timeout", "must be a duration"), false},
		{"the tag of true on a duration", `policies: {a: {timeout: ‸!!bool 60s}}`, fault1("policies.a.timeout", "must be a duration"), false},
		{"binary for a duration", `policies: {a: {timeout: ‸!!binary 60s}}`, fault1("policies.a.timeout", "must be a duration"), false},
		{"a tag of its own on policies", `policies: ‸!foo {a: {}}`, fault1("policies", "must have fields"), false},
		{"a tag of its own on a policy", `policies: {a: ‸!foo {}}`, fault1("policies.a", "must have fields"), false},
		{"a tag of its own on all", `‸!foo {policies: {}}`, fault1("the document", "must have fields"), false},
		{"a set for a policy", `policies: {a: ‸!!set {}}`, fault1("policies.a", "must have fields"), false},
		{"the tag of text on a number", `policies: {a: {failure_threshold: ‸!!str 3}}`, fault1("policies.a.failure_threshold", `must be a whole number, and is "3"`), false},
		{"the tag of a fraction on a number", `policies: {a: {failure_threshold: ‸!!float 3}}`, fault1("policies.a.failure_threshold", "must be a whole number"), false},
		{"the tag of a number on text", `policies: {a: {failure_threshold: ‸!!int x}}`, fault1("policies.a.failure_threshold", "must be a whole number"), false},
		{"a date for a duration", `policies: {a: {timeout: ‸2001-01-01}}`, fault1("policies.a.timeout", "must be a duration"), true},
		{"two documents", "{}\n‸---\n{}\n", fault1("", "a second document begins; there must be one"), false},
		{"a second document that is not valid", "{}\n‸---\nbogus: 1\n", fault1("", "a second document begins; there must be one"), false},
		{"a second document that is not YAML", "{}\n--- [\n‸", fault1("", "did not find expected node content"), false},
		{"text after the end of the document", "{}\n...\n‸bogus: 1\n", fault1("", "a second document begins; there must be one"), false},

		// Documents that are none.
		{"nothing", "", nowhere1("the file is empty; {} stands for nothing but defaults"), false},
		{"blanks", " ", nowhere1("the file is empty"), false},
		{"line feeds", "\n\n\n", nowhere1("the file is empty"), false},
		{"a byte order mark alone", "\ufeff", nowhere1("the file is empty"), false},
		{"comments alone", "# policies:\n#   a: {}\n", nowhere1("the file is empty"), false},
		{"an empty document", "---\n‸", fault1("the document", `must have fields, "name: value", and is empty`), true},
		{"null", "‸null", fault1("the document", `and is empty`), true},
		{"a list", "‸[]", fault1("the document", `must have fields, "name: value", and is a list`), true},
		{"text", "‸policies", fault1("the document", `must have fields, "name: value", and is "policies"`), true},
		{"a number", "‸5", fault1("the document", `must have fields, "name: value", and is 5`), true},
		{"text that is long", "‸" + strings.Repeat("é", 100), fault1("the document", `and is "`+strings.Repeat("é", 32)+`…"`), true},
		{"not UTF-8", "policies: {‸\xff: {}}", fault1("", "here is a byte, 0xff, that is not UTF-8"), false},
		{"a byte of UTF-8 that is missing", "policies:\n  é‸\xc3: {}", fault1("", "here is a byte, 0xc3, that is not UTF-8"), false},
		{"UTF-16", "‸\xff\xfe{\x00}\x00", fault1("", "here is a byte, 0xff, that is not UTF-8"), false},
		{"binary data", "‸\x7fELF\x02\x01\x01\x00\x00", fault1("", "here is a control character, 0x7f"), false},
		{"a zero byte", "policies: {}‸\x00", fault1("", "here is a control character, 0x0"), false},
		{"an escape", "# \n# ‸\x1b[31m\n{}", fault1("", "here is a control character, 0x1b"), false},
		{"nested deeper than 100 levels", "ralph: " + strings.Repeat("{a: ", 99) + "{‸a: " + strings.Repeat("{a: ", 20) + strings.Repeat("}", 120), fault1("the document", "is nested deeper than 100 levels"), false},
		{"longer than 1 MiB", "# " + strings.Repeat("x", 1<<20), nowhere1("the file is longer than 1048576 bytes"), false},
		{"more than 20,000 values", "ralph: {x: [" + strings.Repeat("a,", 20_000) + "]}", nowhere1("the file has more than 20000 values"), false},

		// Not YAML.
		{"an indent by a tab", "policies:\n‸\ta: {}\n", fault1("", "found character that cannot start any token"), false},
		{"a list without an end", "policies: [\n‸", fault1("", "did not find expected node content"), false},
		{"fields without an end", "policies: {a: {timeout: 1s}\n‸", fault1("", "did not find expected ',' or '}'"), false},
		{"quotes without an end", "policies: \"x‸", fault1("", "found unexpected end of stream"), false},
		{"two values in a line", "policies: a‸: b", fault1("", "mapping values are not allowed in this context"), false},
		{"an escape that is none", `policies: {"‸\q": {}}`, fault1("", "found unknown escape character"), false},
		{"JSON that lacks a comma", "{\"registry\": {}\n ‸\"policies\": {}}", fault1("", "did not find expected ',' or '}'"), false},
		{"a directive that is not known", "%FOO‸ bar\n---\n{}\n", fault1("", "found unknown directive name"), false},
	}
	return rows
}

// aliasBomb is a billion laughs: each line holds the one before nine times over.
func aliasBomb(lines int) string {
	var b strings.Builder
	b.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c < 'b'+rune(lines); c++ {
		fmt.Fprintf(&b, "  %c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), ", "))
	}
	return b.String()
}

// faultsOfFile returns the FileErrors that err joins.
func faultsOfFile(t *testing.T, err error) []*presets.FileError {
	t.Helper()
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var faults []*presets.FileError
	for _, one := range all {
		fault, ok := one.(*presets.FileError)
		if !ok {
			t.Fatalf("%T %v, want a FileError", one, one)
		}
		faults = append(faults, fault)
	}
	return faults
}

func TestDecodeRefuses(t *testing.T) {
	for _, row := range badDocuments() {
		t.Run(row.name, func(t *testing.T) {
			doc, places := row.placed()
			f, err := decode(doc)
			if err == nil {
				t.Fatalf("Decode accepts it, want an error\n%s", doc[:min(len(doc), 1000)])
			}
			if f != nil {
				t.Errorf("Decode gives a Fleet besides an error")
			}
			if first, ok := errors.AsType[*presets.FileError](err); !ok {
				t.Fatalf("%T %v, want a FileError", err, err)
			} else if first.File != "" {
				t.Errorf("the file is %q, want none", first.File)
			}
			checkFaults(t, faultsOfFile(t, err), row.faults, places)
		})
	}
}

func checkFaults(t *testing.T, got []*presets.FileError, want []fault, places [][2]int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d faults, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		place := [2]int{}
		if !w.nowhere {
			place, places = places[0], places[1:]
		}
		if [2]int{g.Line, g.Column} != place {
			t.Errorf("line and column are %d:%d, want %d:%d: %v", g.Line, g.Column, place[0], place[1], g)
		}
		if g.Field != w.field {
			t.Errorf("the field is %q, want %q", g.Field, w.field)
		}
		if !strings.Contains(g.Problem, w.problem) {
			t.Errorf("the problem is %q, want %q in it", g.Problem, w.problem)
		}
		cause, ok := errors.AsType[*core.ConfigError](g)
		if ok != (w.config != "") || ok && cause.Field != w.config {
			t.Errorf("the cause is %v, want a ConfigError of %q", g.Err, w.config)
		}
		if text := g.Error(); !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) || len(text) > 1000 {
			t.Errorf("the message is not fit for a log: %.500q", text)
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// All that is wrong is told at once, in the order of the document, whatever the
// order in which it is read.
func TestDecodeTellsEveryFault(t *testing.T) {
	row := bad{doc: `
policies:
  a:
    timeout: ‸60
    ‸bogus: 1
    retry: {attempts: ‸101, strategy: ‸sometimes}
  ‸"b**": {preset: ‸x}
  c: ‸[]
defaults: {jitter: ‸2}
‸section: {}
registry:
  max: ‸-1
  ‸min: 1
`, faults: []fault{
		{field: "policies.a.timeout", problem: "has no unit"},
		{field: "policies.a.bogus", problem: "is not a known field"},
		{field: "policies.a.retry.attempts", problem: "is 101", config: "Retry.Attempts"},
		{field: "policies.a.retry.strategy", problem: `is "sometimes"`, config: "Strategy"},
		{field: "policies.b**", problem: `write "b*"`, config: "pattern"},
		{field: "policies.b**.preset", problem: `is "x"`, config: "Preset"},
		{field: "policies.c", problem: "is a list"},
		{field: "defaults.jitter", problem: "is 2", config: "Jitter"},
		{field: "section", problem: "is not a known field"},
		{field: "registry.max", problem: "is -1", config: "Registry.Max"},
		{field: "registry.min", problem: "is not a known field"},
	}}
	doc, places := row.placed()
	_, err := decode(doc)
	if err == nil {
		t.Fatal("no error")
	}
	// A fault of the defaults is not reported again for each policy that starts from them.
	got := slices.DeleteFunc(faultsOfFile(t, err), func(e *presets.FileError) bool {
		return strings.HasSuffix(e.Field, ".jitter") && e.Field != "defaults.jitter"
	})
	checkFaults(t, got, row.faults, places)
}

func TestDecodeTellsTwentyFaults(t *testing.T) {
	document := func(n int) string {
		var b strings.Builder
		b.WriteString("policies:\n  a:\n")
		for i := range n {
			fmt.Fprintf(&b, "    unknown%d: 1\n", i)
		}
		return b.String()
	}
	for _, row := range []struct{ given, told int }{{1, 1}, {19, 19}, {20, 20}, {21, 21}, {1000, 21}} {
		_, err := decode(document(row.given))
		faults := faultsOfFile(t, err)
		if len(faults) != row.told {
			t.Fatalf("of %d faults %d are told, want %d", row.given, len(faults), row.told)
		}
		for i, fault := range faults[:min(row.told, 20)] {
			if fault.Line != 3+i || fault.Column != 5 {
				t.Errorf("fault %d is at %d:%d, want %d:5", i, fault.Line, fault.Column, 3+i)
			}
		}
		last := faults[len(faults)-1]
		if more := last.Problem == "there are more faults" && last.Line == 0 && last.Field == ""; more != (row.given > 20) {
			t.Errorf("of %d faults the last told is %v", row.given, last)
		}
	}
}

// The faults of a document do not change from one reading to the next, or
// [presets.Watch] would tell it again.
func TestDecodeTellsTheSameTwice(t *testing.T) {
	for _, row := range badDocuments() {
		doc, _ := row.placed()
		_, first := decode(doc)
		if first == nil {
			continue // TestDecodeRefuses tells
		}
		for range 10 {
			if _, err := decode(doc); err == nil || err.Error() != first.Error() {
				t.Errorf("%s: first %v, then %v", row.name, first, err)
				break
			}
		}
	}
	var names strings.Builder // more faults than are told, in one line
	for i := range 100 {
		fmt.Fprintf(&names, `"a%d**": {}, `, i)
	}
	doc := "policies: {" + names.String() + "}"
	_, first := decode(doc)
	for range 10 {
		if _, err := decode(doc); err == nil || err.Error() != first.Error() {
			t.Errorf("of many names in one line first %.60q…, then %.60q…", first.Error(), fmt.Sprint(err))
			break
		}
	}
	// Some of these are as near to one field as to another.
	for _, in := range []string{"{%s: 1}", "registry: {%s: 1}", "defaults: {%s: 1}", "defaults: {retry: {%s: 1}}", "defaults: {window: {%s: 1}}", "defaults: {health: {%s: 1}}", "defaults: {retry_strategy: %s}", "defaults: {preset: %s}"} {
		for _, word := range []string{"rate", "retry_", "max_time", "call", "_timeout", "slow_time", "ove", "ean", "mor", "erro_rate", "retry_max_attempts", "retry_delay", "wait_timeout", "read_timeout", "ca_timeout", "retry_jiter", "line", "fixed_backoff", "random_delay"} {
			doc := fmt.Sprintf(in, word)
			_, first := decode(doc)
			for range 30 {
				if _, err := decode(doc); fmt.Sprint(err) != fmt.Sprint(first) {
					t.Errorf("%s: first %v, then %v", doc, first, err)
					break
				}
			}
		}
	}
}

// The original ignored a field that it did not know, and took the moderate
// preset for one that it did not know: a misspelt word left the service
// unprotected, or protected otherwise than was meant.
func TestAnUnknownPresetIsAnError(t *testing.T) {
	for _, row := range []struct{ name, doc, word, meant string }{
		{"a field", "policies:\n  payments:\n    failure_treshold: 3\n", "failure_treshold", "failure_threshold"},
		{"a field of the original", "policies:\n  payments:\n    sliding_windw_size: 3\n", "sliding_windw_size", "sliding_window_size"},
		{"a preset", "policies:\n  payments:\n    preset: critical-service\n", "critical-service", "critical_service"},
		{"a strategy", "policies:\n  payments:\n    retry_strategy: exponential_backof\n", "exponential_backof", "exponential_backoff"},
		{"a section", "registry: {}\ndefaults: {}\npolicys: {}\n", "policys", "policies"},
	} {
		f, err := decode(row.doc)
		fault, ok := errors.AsType[*presets.FileError](err)
		if !ok {
			t.Errorf("%s: %+v, %v, want a FileError", row.name, f, err)
			continue
		}
		if fault.Line != 3 || !strings.Contains(err.Error(), row.word) || !strings.Contains(err.Error(), fmt.Sprintf("did you mean %q?", row.meant)) {
			t.Errorf("%s: %v, want line 3, %q and %q", row.name, err, row.word, row.meant)
		}
	}
	if p, err := presets.Named("modrate"); err == nil || !strings.Contains(err.Error(), `did you mean "moderate"?`) {
		t.Errorf("Named of a misspelt preset gives %+v, %v", p, err)
	}
}

// The original held its configuration in code alone, and what it wrote for
// people it could not read.
func TestAConfigurationGoesToAFileAndBack(t *testing.T) {
	fleet := everyFieldRead()
	path := filepath.Join(t.TempDir(), "breakers.yaml")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(presets.Encode(file, &fleet), file.Close()); err != nil {
		t.Fatal(err)
	}
	back, err := presets.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(said(back), fleet); d != "" {
		t.Error(d)
	}
	for name, want := range map[string]presets.Policy{
		"all": fleet.Policies["all"], "by-time": fleet.Policies["by-time"], "another": fleet.Defaults,
	} {
		if got := back.Policy(name); !same(got, want) {
			t.Errorf("the policy of %q is %s, want %s", name, shownPolicy(got), shownPolicy(want))
		}
	}
}

// A file of the original's names means what it meant there.
func TestTheOriginalsNamesAreUnderstood(t *testing.T) {
	path := filepath.Join("testdata", "original.yaml")
	f, err := presets.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := presets.Policy{
		Config: core.Config{
			FailureThreshold: 5, SuccessThreshold: 2, Timeout: time.Minute, HalfOpenMaxCalls: 3, Window: core.Window{Calls: 100},
		},
		HealthCheckInterval: 30 * time.Second,
		Retry: presets.Retry{
			Enabled: true, Strategy: presets.StrategyExponential, Attempts: 3, InitialDelay: time.Second, MaxDelay: 30 * time.Second, Multiplier: 2, JitterFactor: -1,
		},
	}
	if got := f.Policy("payments"); !same(got, want) {
		t.Errorf("the policy is %s, want %s", shownPolicy(got), shownPolicy(want))
	}
	want.Retry, want.HealthCheckInterval = presets.Retry{}, -time.Second
	if got := f.Policy("search"); !same(got, want) {
		t.Errorf("the policy is %s, want %s", shownPolicy(got), shownPolicy(want))
	}
}

// A reader of a document that is longer than allowed reads no more of it than
// tells so.
func TestDecodeReadsNoMoreThanAllowed(t *testing.T) {
	r := &endless{}
	if _, err := presets.Decode(r); err == nil || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
		t.Errorf("Decode of an endless reader: %v", err)
	}
	if r.read > 1<<21 {
		t.Errorf("%d bytes were read, want about 1 MiB", r.read)
	}
	exactly := "# " + strings.Repeat("x", 1<<20-6) + "\n{}\n"
	if _, err := decode(exactly[:1<<20]); err != nil {
		t.Errorf("a document of exactly 1 MiB: %v", err)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = '#'
	}
	return len(p), nil
}

func TestDecodePassesOnWhatTheReaderSays(t *testing.T) {
	broken := errors.New("cable cut")
	_, err := presets.Decode(iotest.ErrReader(broken))
	fault, ok := errors.AsType[*presets.FileError](err)
	if !ok || !errors.Is(err, broken) || !strings.Contains(err.Error(), "the file cannot be read: cable cut") {
		t.Errorf("Decode: %v, want a FileError of %v", err, broken)
	}
	if ok && (fault.Line != 0 || fault.File != "") {
		t.Errorf("the place is %q:%d, want none", fault.File, fault.Line)
	}
	// One byte at a time, and the end together with the last ones.
	for _, r := range []func() *strings.Reader{func() *strings.Reader { return strings.NewReader(everyField) }} {
		for name, reader := range map[string]func() (*presets.Fleet, error){
			"one byte": func() (*presets.Fleet, error) { return presets.Decode(iotest.OneByteReader(r())) },
			"data err": func() (*presets.Fleet, error) { return presets.Decode(iotest.DataErrReader(r())) },
		} {
			f, err := reader()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if d := differ(said(f), everyFieldRead()); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

// fileOf makes a file and returns its path.
func fileOf(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "breakers.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	f, err := presets.Load(fileOf(t, everyField))
	if err != nil {
		t.Fatal(err)
	}
	if d := differ(said(f), everyFieldRead()); d != "" {
		t.Error(d)
	}
}

// Every error of Load says which file it is, first of all.
func TestLoadNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.yaml")
	under := filepath.Join(fileOf(t, "{}"), "breakers.yaml") // a file is no directory
	for _, row := range []struct {
		name, path, want string
		cause            error
	}{
		{"missing", missing, "the file cannot be read: no such file", fs.ErrNotExist},
		{"no path", "", "cannot be read", fs.ErrNotExist},
		{"a directory", dir, "the file is not a regular one", nil},
		{"under a file", under, "the file cannot be read", nil},
		{"a device", os.DevNull, "the file is not a regular one", nil},
		{"empty", fileOf(t, ""), "the file is empty", nil},
		{"too long", fileOf(t, strings.Repeat("#", 1<<20+1)), "longer than 1048576 bytes", nil},
		{"too many values", fileOf(t, "ralph: {x: ["+strings.Repeat("a,", 20_000)+"]}"), "more than 20000 values", nil},
		{"no YAML", fileOf(t, "policies: [\n"), ":2:1: did not find expected node content", nil},
		{"not UTF-8", fileOf(t, "\xff"), ":1:1: here is a byte, 0xff, that is not UTF-8", nil},
		{"an unknown field", fileOf(t, "policies:\n  a:\n    bogus: 1\n"), ":3:5: policies.a.bogus is not a known field", nil},
		{"a value that is not allowed", fileOf(t, "policies:\n  a:\n    timeout: -1s\n"), ":3:14: policies.a.timeout is -1s, allowed: positive; 0 for 60s", nil},
	} {
		f, err := presets.Load(row.path)
		if f != nil || err == nil {
			t.Errorf("%s: %v, %v, want an error", row.name, f, err)
			continue
		}
		for _, fault := range faultsOfFile(t, err) {
			if fault.File != row.path {
				t.Errorf("%s: the file is %q, want %q", row.name, fault.File, row.path)
			}
		}
		if text := err.Error(); !strings.HasPrefix(text, row.path) || !strings.Contains(text, row.want) || row.path != "" && strings.Count(text, row.path) > 1 {
			t.Errorf("%s: %q, want the path, once, and %q", row.name, text, row.want)
		}
		if row.cause != nil && !errors.Is(err, row.cause) {
			t.Errorf("%s: %v is not %v", row.name, err, row.cause)
		}
	}
}

func TestLoadNamesTheFileInEveryFault(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	path := fileOf(t, b.String())
	_, err := presets.Load(path)
	faults := faultsOfFile(t, err)
	if len(faults) != 21 {
		t.Errorf("%d faults, want 20 and that there are more", len(faults))
	}
	for _, fault := range faults {
		if fault.File != path || !strings.HasPrefix(fault.Error(), path+":") {
			t.Errorf("%q, want %q first", fault.Error(), path+":")
		}
	}
}

// FileError prints something in place of what is not known.
func TestFileErrorText(t *testing.T) {
	cause := errors.New("cause")
	for _, row := range []struct {
		fault presets.FileError
		want  string
	}{
		{presets.FileError{Problem: "is bad"}, "is bad"},
		{presets.FileError{File: "f", Problem: "is bad"}, "f: is bad"},
		{presets.FileError{Line: 3, Column: 4, Problem: "is bad"}, "line 3:4: is bad"},
		{presets.FileError{File: "f", Line: 3, Column: 4, Problem: "is bad"}, "f:3:4: is bad"},
		{presets.FileError{File: "f", Line: 3, Column: 4, Field: "a.b", Problem: "is bad", Err: cause}, "f:3:4: a.b is bad"},
		{presets.FileError{Field: "a.b", Problem: "is bad"}, "a.b is bad"},
	} {
		if got := row.fault.Error(); got != row.want {
			t.Errorf("%+v is %q, want %q", row.fault, got, row.want)
		}
		if got := row.fault.Unwrap(); got != row.fault.Err {
			t.Errorf("%+v unwraps to %v", row.fault, got)
		}
	}
}

// A switch that is put on again does something.
func TestHealthChecksAreSwitchedOnAgain(t *testing.T) {
	f, err := presets.Decode(strings.NewReader("defaults: {enable_health_checks: false, retry_enabled: true, retry_jitter: false}\n" +
		"policies: {a: {enable_health_checks: true, retry_jitter: true}, b: {retry: {jitter: true}}, c: {}}"))
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		every  time.Duration
		jitter float64
	}
	for name, want := range map[string]row{"a": {0, 0}, "b": {-time.Second, 0}, "c": {-time.Second, -1}} {
		p := f.Policy(name)
		if got := (row{p.HealthCheckInterval, p.Retry.JitterFactor}); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// Rulers in comments are not values.
func TestDecodeRulers(t *testing.T) {
	ruler := "# " + strings.Repeat("-", 78) + "\n"
	if _, err := presets.Decode(strings.NewReader(strings.Repeat(ruler, 300) + "policies: {a: {preset: database}}")); err != nil {
		t.Error(err)
	}
}
