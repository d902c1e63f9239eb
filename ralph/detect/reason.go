package detect

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Reason is why an agent does not get on, which decides how it may go on again.
type Reason uint8

// The reasons.
const (
	ReasonStuck     Reason = 1 + iota // it does what it has done before; a pause and a hint may help
	ReasonFailing                     // what it does fails
	ReasonExhausted                   // it has used up what it may use; only a raise helps
	ReasonBlocked                     // it needs a human
	ReasonTransient                   // something it needs is away for a while; waiting helps
)

var reasonNames = enum.Names[Reason]{Type: "Reason", Of: []string{ //nolint:gochecknoglobals // a table
	"none", ReasonStuck: "stuck", ReasonFailing: "failing", ReasonExhausted: "exhausted", ReasonBlocked: "blocked", ReasonTransient: "transient",
}}

// String returns "stuck", "failing", "exhausted", "blocked" or "transient", and
// "none" for zero.
func (r Reason) String() string { return reasonNames.String(r) }

// MarshalText makes a Reason readable in JSON and YAML. It never fails.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (r *Reason) UnmarshalText(text []byte) error {
	if allowed := reasonNames.Parse(text, r); allowed != "" {
		return &core.ConfigError{Field: reasonNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
