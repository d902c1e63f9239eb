package detect

import (
	"strconv"

	"github.com/blackbox4/switchgear/ralph/internal/enum"
)

// Level is how far a rule has got. A higher one is worse, so that they can be
// compared with <. The zero Level is none.
type Level uint8

// The levels.
const (
	LevelNudge Level = 1 + iota // tell the model; it goes on
	LevelTrip                   // stop the agent
)

// String returns "nudge" or "trip", and "none" for zero.
func (l Level) String() string {
	switch l {
	case 0:
		return "none"
	case LevelNudge:
		return "nudge"
	case LevelTrip:
		return "trip"
	}
	return "Level(" + strconv.Itoa(int(l)) + ")"
}

// MarshalText makes a Level readable in JSON and YAML. It never fails.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (l *Level) UnmarshalText(text []byte) error {
	return enum.Parse(l, text, Level(0), LevelTrip, "Level")
}
