package presets

import (
	"slices"
	"sync"
	"time"
)

// preset is what a preset says; what it does not say has its default.
type preset struct {
	name                 string
	failures, successes  int
	timeout, callTimeout time.Duration
	retry                Retry
}

func exponential(attempts int, first, limit time.Duration) Retry {
	return Retry{Strategy: StrategyExponential, Attempts: attempts, InitialDelay: first, MaxDelay: limit}
}

// table returns the presets, in the order of [Names]. It is shared.
//
//nolint:gochecknoglobals // made once: each policy of a file is held against it
var table = sync.OnceValue(func() []preset {
	const s, ms = time.Second, time.Millisecond
	return []preset{
		{"conservative", 3, 3, 120 * s, 60 * s, exponential(2, 2*s, 10*s)},
		{"moderate", 5, 2, 60 * s, 30 * s, exponential(3, 1*s, 10*s)},
		{"aggressive", 10, 1, 30 * s, 15 * s, Retry{}},
		{"critical_service", 2, 3, 180 * s, 90 * s, exponential(3, 3*s, 15*s)},
		{"non_critical_service", 8, 1, 30 * s, 10 * s, Retry{}},
		{"external_api", 5, 2, 60 * s, 30 * s, exponential(3, 1*s, 8*s)},
		{"database", 3, 2, 30 * s, 10 * s, Retry{Strategy: StrategyLinear, Attempts: 2, InitialDelay: 500 * ms, MaxDelay: 2 * s}},
		{"agent_execution", 4, 2, 90 * s, 120 * s, Retry{}},
		{"file_operations", 3, 2, 10 * s, 5 * s, Retry{Strategy: StrategyFixed, Attempts: 2, InitialDelay: 1 * s}},
	}
})

func find(name string) (preset, bool) {
	presets := table()
	i := slices.IndexFunc(presets, func(p preset) bool { return p.name == name })
	if i < 0 {
		return preset{}, false
	}
	return presets[i], true
}

// Every preset keeps these, so that Health, percentiles and series can be asked for
// without having been thought of before.
const (
	presetHistory     = 5 * time.Minute
	presetRecentCalls = 100
)

// on returns base with what the preset says.
func (s preset) on(base Policy) Policy {
	if base.Preset == "" { // else it has them, unless the defaults of a file say otherwise
		base.Durations, base.History, base.RecentCalls = true, presetHistory, presetRecentCalls
	}
	base.Preset = s.name
	base.FailureThreshold, base.SuccessThreshold = s.failures, s.successes
	base.Timeout, base.CallTimeout = s.timeout, s.callTimeout
	// How a call is made again is the preset's, whether is not; but one that says
	// that it is not to be is heeded.
	enabled := base.Retry.Enabled && s.retry.Strategy != StrategyNone
	base.Retry = s.retry
	base.Retry.Enabled = enabled
	return base
}

// retryOf returns what a preset says of retries by itself; nothing for a name that
// is none.
func retryOf(preset string) Retry {
	p, _ := find(preset)
	return p.retry
}

func mustPreset(name string) Policy {
	p, ok := find(name)
	if !ok {
		panic("presets: no preset " + name)
	}
	return p.on(Policy{})
}

// Conservative is for dependencies that recover slowly and must not be pressed:
// 3 consecutive failures or half of the last 100 calls open, for 120 s; 3 successes
// close; a call may take 60 s. Retries, where enabled: exponential, 2 attempts, 2 s to
// 10 s.
func Conservative() Policy { return mustPreset("conservative") }

// Moderate is the default for everything: 5 consecutive failures or half of the last
// 100 calls open, for 60 s; 2 successes close; a call may take 30 s. Retries, where
// enabled: exponential, 3 attempts, 1 s to 10 s.
func Moderate() Policy { return mustPreset("moderate") }

// Aggressive stays in use for long and comes back soon: 10 consecutive failures or
// half of the last 100 calls open, for 30 s; 1 success closes; a call may take 15 s.
// No retries of its own.
func Aggressive() Policy { return mustPreset("aggressive") }

// CriticalService is for what must not be hurt further: 2 consecutive failures or half
// of the last 100 calls open, for 180 s; 3 successes close; a call may take 90 s.
// Retries, where enabled: exponential, 3 attempts, 3 s to 15 s.
func CriticalService() Policy { return mustPreset("critical_service") }

// NonCriticalService is for what the caller can do without: 8 consecutive failures or
// half of the last 100 calls open, for 30 s; 1 success closes; a call may take 10 s. No
// retries of its own.
func NonCriticalService() Policy { return mustPreset("non_critical_service") }

// ExternalAPI is for other people's services: 5 consecutive failures or half of the
// last 100 calls open, for 60 s; 2 successes close; a call may take 30 s. Retries, where
// enabled: exponential, 3 attempts, 1 s to 8 s.
func ExternalAPI() Policy { return mustPreset("external_api") }

// Database is for a database: 3 consecutive failures or half of the last 100 calls
// open, for 30 s; 2 successes close; a call may take 10 s. Retries, where enabled:
// linear, 2 attempts, 500 ms to 2 s.
func Database() Policy { return mustPreset("database") }

// AgentExecution is for an agent's run: 4 consecutive failures or half of the last 100
// runs open, for 90 s; 2 successes close; a run may take 120 s. No retries of its own.
func AgentExecution() Policy { return mustPreset("agent_execution") }

// FileOperations is for a disk or a network share: 3 consecutive failures or half of
// the last 100 calls open, for 10 s; 2 successes close; a call may take 5 s. Retries,
// where enabled: fixed, 2 attempts, 1 s apart.
func FileOperations() Policy { return mustPreset("file_operations") }
