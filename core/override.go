package core

import "github.com/blackbox4/switchgear/internal/enum"

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
