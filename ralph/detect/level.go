package detect

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Level is how far a rule has got. A higher one is worse, so that they can be
// compared with <. The zero Level is none.
type Level uint8

// The levels.
const (
	LevelNudge Level = 1 + iota // tell the model; it goes on
	LevelTrip                   // stop the agent
)

var levelNames = enum.Names[Level]{Type: "Level", Of: []string{ //nolint:gochecknoglobals // a table
	"none", LevelNudge: "nudge", LevelTrip: "trip",
}}

// String returns "nudge" or "trip", and "none" for zero.
func (l Level) String() string { return levelNames.String(l) }

// MarshalText makes a Level readable in JSON and YAML. It never fails.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (l *Level) UnmarshalText(text []byte) error {
	if allowed := levelNames.Parse(text, l); allowed != "" {
		return &core.ConfigError{Field: levelNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
