package presets

import (
	"context"
	"errors"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Policy is how a function is protected: the Config of its breaker, with the
// CallTimeout of each attempt, and what is done when an attempt fails.
//
// A Policy is plain data; its func fields and Registry are not part of a file.
// The zero Policy is the zero [core.Config]: five failures in a row open, no
// retry, no CallTimeout. The functions of this package, [Moderate] and others,
// return a new one each time; change it as you like, or use [Policy.With].
type Policy struct {
	// Preset is the preset that the policy was made from, for people and for
	// [Encode]; it changes nothing. Empty means none.
	Preset string `json:"preset,omitzero"`

	core.Config

	// Retry says whether a call that failed is made again. Zero means no.
	Retry Retry `json:"retry,omitzero"`

	// HealthCheckInterval is the time between two health checks of a breaker
	// that is open. Zero means 5 s, negative means no checks.
	HealthCheckInterval time.Duration `json:"health_check_interval,omitzero"`
	// HealthCheck asks the dependency, by another way than a call, whether it
	// is well; nil means that nobody asks. It is run by [Registry.CheckHealth],
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

// clone copies what p points to and a change could reach.
func (p Policy) clone() Policy {
	if p.Health != nil {
		health := *p.Health
		p.Health = &health
	}
	return p
}

const (
	defaultCheckInterval = 5 * time.Second
	minCheckInterval     = 10 * time.Millisecond
)

// Validate reports every fault of p at once, joined; each is a
// [*core.ConfigError]. It returns nil for a Policy that [Protect] accepts.
func (p Policy) Validate() error {
	faults := []error{p.Config.Validate()}
	if p.Preset != "" {
		if _, err := Named(p.Preset); err != nil {
			faults = append(faults, err)
		}
	}
	faults = append(faults, p.Retry.faults()...)
	if p.HealthCheckInterval > 0 && p.HealthCheckInterval < minCheckInterval {
		faults = append(faults, &core.ConfigError{Field: "HealthCheckInterval", Value: p.HealthCheckInterval, Allowed: "at least 10ms; 0 for 5s, negative for off"})
	}
	return errors.Join(faults...)
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
