package condition

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Severity says how bad a [Condition] is. A higher one is worse, so that they can
// be compared with <. The zero Severity is none.
type Severity uint8

// The severities.
const (
	Low      Severity = 1 + iota // reported; by default nothing is refused for it
	Medium                       // most likely it passes by itself
	High                         // a person should look
	Critical                     // a person should look at once
)

var severityNames = enum.Names[Severity]{Type: "Severity", Of: []string{"none", Low: "low", Medium: "medium", High: "high", Critical: "critical"}} //nolint:gochecknoglobals // a table

// String returns "low", "medium", "high" or "critical", and "none" for zero.
func (s Severity) String() string { return severityNames.String(s) }

// MarshalText makes a Severity readable in JSON and YAML. It never fails.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*core.ConfigError].
func (s *Severity) UnmarshalText(text []byte) error {
	if allowed := severityNames.Parse(text, s); allowed != "" {
		return &core.ConfigError{Field: severityNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
