package core

import (
	"context"
	"time"

	"github.com/blackbox4/switchgear/internal/enum"
)

// Override is an operator's word over a [Breaker]. It stands beside the state,
// not in it: the state machine below keeps its state, and [Breaker.Release]
// hands the decision back to it. The zero Override is [NoOverride].
type Override uint8

// The overrides.
const (
	NoOverride Override = iota // the state machine decides
	ForcedOpen                 // every call is refused until Release
	Disabled                   // every call is admitted and none is counted; CallTimeout still holds
	Shadow                     // every call is admitted and counted; what would have been refused is reported
)

var overrideNames = enum.Names[Override]{Type: "Override", Of: []string{NoOverride: "none", ForcedOpen: "forced-open", Disabled: "disabled", Shadow: "shadow"}} //nolint:gochecknoglobals // a table

// String returns "none", "forced-open", "disabled" or "shadow".
func (o Override) String() string { return overrideNames.String(o) }

// MarshalText makes an Override readable in JSON and YAML. It never fails.
func (o Override) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (o *Override) UnmarshalText(text []byte) error {
	return readEnum(overrideNames, text, o)
}

// Force sets an operator's override, which is logged; the state machine keeps
// its state below it. [NoOverride] is [Breaker.Release]. An Override that is not
// one of the constants is refused with a [*ConfigError].
//
// [ForcedOpen] refuses every call. [Disabled] admits every call and counts none;
// a CallTimeout still holds. [Shadow] admits every call and lets the state
// machine run on what they return: Hooks.Refused and Totals.ShadowAdmitted tell what it
// would have refused.
func (b *Breaker) Force(o Override) error {
	if o > Shadow {
		return &ConfigError{Field: "Override", Value: o, Allowed: "NoOverride, ForcedOpen, Disabled or Shadow"}
	}
	if !b.made() {
		return errNoBreaker
	}
	now, old := b.lock(), b.settings.Load()
	b.advanceLocked(context.Background(), old, now) // what lies behind is timed by the old override
	b.lifetimeLocked().overriddenUntil(old.override, b.phase.Load().state, now)
	s := b.overridden(newSettings(old.Config, o), now)
	b.settings.Store(s)
	if s.Logger != nil {
		b.ledgerOf().queueEvent(event{ctx: context.Background(), override: &o})
	}
	b.mu.Unlock()
	b.deliver()
	return nil
}

// overridden completes settings that refuse by themselves. It needs Breaker.mu.
func (b *Breaker) overridden(s *settings, now time.Duration) *settings {
	if s.override == ForcedOpen {
		v := b.viewLocked(b.phase.Load(), s, now)
		s.forced = &OpenError{Name: b.name, State: v.state, Cause: CauseForcedOpen}
	}
	return s
}

// Release takes the override back: the state machine decides again, from the
// state that it has reached meanwhile.
func (b *Breaker) Release() { _ = b.Force(NoOverride) }
