package presets

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Strategy is how the waits between attempts grow. The zero Strategy is [StrategyNone].
type Strategy uint8

// The strategies; n is the number of attempts made so far.
const (
	StrategyNone        Strategy = iota // none of its own: no second attempt, or StrategyExponential where retries are enabled
	StrategyFixed                       // InitialDelay
	StrategyLinear                      // InitialDelay × n
	StrategyExponential                 // InitialDelay × Multiplier^(n-1)
	StrategyRandom                      // evenly between zero and what StrategyExponential would wait
)

var strategyNames = enum.Names[Strategy]{Type: "Strategy", Of: []string{ //nolint:gochecknoglobals // a table
	StrategyNone: "none", StrategyFixed: "fixed", StrategyLinear: "linear", StrategyExponential: "exponential", StrategyRandom: "random",
}}

// otherStrategyNames are understood besides.
func otherStrategyNames() map[string]Strategy {
	return map[string]Strategy{
		"fixed_delay": StrategyFixed, "linear_backoff": StrategyLinear, "exponential_backoff": StrategyExponential, "random_jitter": StrategyRandom,
	}
}

// String returns "none", "fixed", "linear", "exponential" or "random".
func (s Strategy) String() string { return strategyNames.String(s) }

const allowedStrategies = "none, fixed, linear, exponential or random"

// MarshalText returns [Strategy.String]. It never fails.
func (s Strategy) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String returns, and the names fixed_delay,
// linear_backoff, exponential_backoff and random_jitter. Anything else is a
// [*core.ConfigError].
func (s *Strategy) UnmarshalText(text []byte) error {
	if known, ok := otherStrategyNames()[string(text)]; ok {
		*s = known
		return nil
	}
	if strategyNames.Parse(text, s) != "" {
		return &core.ConfigError{Field: strategyNames.Type, Value: string(text), Allowed: allowedStrategies}
	}
	return nil
}
