package presets

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Strategy is how the waits between attempts grow. The zero Strategy is [None].
type Strategy uint8

// The strategies; n is the number of attempts made so far.
const (
	None        Strategy = iota // none of its own: no second attempt, or Exponential where retries are enabled
	Fixed                       // InitialDelay
	Linear                      // InitialDelay × n
	Exponential                 // InitialDelay × Multiplier^(n-1)
	Random                      // evenly between zero and what Exponential would wait
)

var strategyNames = enum.Names[Strategy]{Type: "Strategy", Of: []string{ //nolint:gochecknoglobals // a table
	None: "none", Fixed: "fixed", Linear: "linear", Exponential: "exponential", Random: "random",
}}

// otherStrategyNames are understood besides.
func otherStrategyNames() map[string]Strategy {
	return map[string]Strategy{
		"fixed_delay": Fixed, "linear_backoff": Linear, "exponential_backoff": Exponential, "random_jitter": Random,
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
