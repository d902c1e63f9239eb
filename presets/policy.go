package presets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Policy is how a function is protected: the Config of its breaker, with the
// CallTimeout of each attempt, and what is done when an attempt fails.
//
// A Policy is plain data; its func fields and Registry are not part of a file.
// The zero Policy is the zero [core.Config]: five consecutive failures open, and so
// does half of the last 100 calls; no retry, no CallTimeout. The functions of this package, [Moderate] and others,
// return a new one each time; change it as you like, or use [Policy.With].
type Policy struct {
	// Preset is the preset that the policy was made from, for people and for
	// [Encode]; it changes nothing. Empty means none.
	Preset string `json:"preset,omitzero"`

	// Config is what the breaker goes by. A breaker retries nothing, so [core.New]
	// refuses the Config of a policy that [Policy.WithRetry] returned; where
	// Retry.Enabled was set by hand, [Policy.Breaker] does.
	core.Config

	// Retry says how a call that failed is made again, and whether. Zero means that
	// it is not; so it is with every preset until [Policy.WithRetry].
	Retry Retry `json:"retry,omitzero"`

	// HealthCheckInterval is the time between two health checks of a breaker
	// that is open. Zero means 5 s, negative means no checks.
	HealthCheckInterval time.Duration `json:"health_check_interval,omitzero"`
	// HealthCheck asks the dependency, by another way than a call, whether it
	// is well; nil means no check. It is run by [Registry.CheckHealth],
	// only while the breaker is open, with a context that ends after one
	// interval. Nil from it makes the breaker half-open before its time; an
	// error, or a panic, changes nothing.
	HealthCheck func(ctx context.Context) error `json:"-"`

	// Registry is where [Protect] keeps the breaker. Nil means [Default].
	Registry *Registry `json:"-"`
}

// With returns a copy of p that change was applied to. p stays as it is. A nil
// change is none.
func (p Policy) With(change func(p *Policy)) Policy {
	p = p.clone()
	if change != nil {
		change(&p)
	}
	return p
}

// WithRetry returns a copy of p that makes calls again that failed, as its Retry
// says: as the preset does, or [StrategyExponential], 3 attempts, where that says nothing.
// A call may then be made more than once, so it must be safe to repeat: an attempt
// that seems to have failed may have had its effect, and only its answer was lost.
//
//	charge := presets.MustProtect("payments", presets.ExternalAPI().WithRetry(), gateway.Charge)
func (p Policy) WithRetry() Policy {
	p = p.clone()
	p.Retry = p.Retry.enabled()
	p.RetriesEnabled = true
	return p
}

// WithoutRetry returns a copy of p that makes each call once, also where p was made
// WithRetry. It takes away how a call would be retried, too; in a file that is
// retry: none.
func (p Policy) WithoutRetry() Policy {
	p = p.clone()
	p.Retry, p.RetriesEnabled = Retry{}, false
	return p
}

// Breaker returns a new breaker of p's Config that is in no [Registry], for code
// that admits and settles calls by itself. A breaker does not make calls again, so
// a policy whose retries are enabled is an error, a [*core.ConfigError], as is one
// that is not valid; the HealthCheck of p is run by the caller, by
// [core.Breaker.CheckHealth].
func (p Policy) Breaker(name string) (*core.Breaker, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if p.Retry.Enabled {
		return nil, &core.ConfigError{Field: "Retry.Enabled", Value: true, Allowed: "false for a breaker alone, which makes no call again; use Protect, or roundtrip.RetryClient for an HTTP client"}
	}
	return core.New(name, p.clone().breakerConfig())
}

// breakerConfig is p's Config for a breaker whose caller knows about Retry.
func (p Policy) breakerConfig() core.Config {
	p.RetriesEnabled = false
	return p.Config
}

// clone copies what p points to and a change could reach.
func (p Policy) clone() Policy {
	if p.Health != nil {
		health := *p.Health
		p.Health = &health
	}
	return p
}

const (
	defaultTimeout          = time.Minute // this and the next four are those of core
	defaultFailureThreshold = 5
	defaultFailureRate      = 0.5
	defaultSuccessThreshold = 2
	defaultHalfOpenMaxCalls = 3
	defaultCheckInterval    = 5 * time.Second
	minCheckInterval        = 10 * time.Millisecond
)

// Validate reports every fault of p at once, joined; each is a
// [*core.ConfigError]. It returns nil for a Policy that [Protect] accepts.
func (p Policy) Validate() error {
	faults := []error{p.breakerConfig().Validate()}
	if p.Preset != "" {
		if _, err := Named(p.Preset); err != nil {
			faults = append(faults, err)
		}
	}
	faults = append(faults, unitless("Timeout", p.Timeout), unitless("CallTimeout", p.CallTimeout), unitless("Window.For", p.Window.For))
	retry := append(p.Retry.faults(), p.Retry.zeros(retryOf(p.Preset))...)
	if field, value := p.Retry.inVain(retryOf(p.Preset)); field != "" && len(retry) == 0 {
		retry = append(retry, &core.ConfigError{Field: "Retry." + field, Value: value, Allowed: "only with Retry.Enabled, which WithRetry sets; without it what the preset says, or nothing"})
	}
	faults = append(faults, retry...)
	if p.HealthCheckInterval > 0 && p.HealthCheckInterval < minCheckInterval {
		faults = append(faults, &core.ConfigError{Field: "HealthCheckInterval", Value: p.HealthCheckInterval, Allowed: "at least 10ms; 0 for 5s, negative for off"})
	}
	return errors.Join(faults...)
}

// unitless refuses a number without a unit, which Go takes for nanoseconds.
func unitless(field string, d time.Duration) error {
	if d <= 0 || d >= time.Millisecond {
		return nil
	}
	return &core.ConfigError{Field: field, Value: d, Allowed: fmt.Sprintf("at least 1ms; a number without a unit is nanoseconds: write %d * time.Millisecond, or * time.Second", d)}
}

// checkEvery returns the time between health checks, or 0 if there are none.
func (p Policy) checkEvery() time.Duration {
	switch {
	case p.HealthCheck == nil || p.HealthCheckInterval < 0:
		return 0
	case p.HealthCheckInterval == 0:
		return defaultCheckInterval
	}
	return p.HealthCheckInterval
}
