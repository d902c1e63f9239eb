package detect

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Class says how the calls of a tool are judged. The zero Class is [ClassOrdinary].
type Class uint8

// The classes of tools.
const (
	ClassOrdinary   Class = iota // a repeat is a call with the same outcome, numbers aside
	ClassPoll                    // asks whether something is ready: judged by Rules.Poll, patiently
	ClassRepeatable              // is meant to be repeated (next page, next line): its outcomes are compared with their numbers, in a row it is judged like a poll, and it is part of no cycle
	ClassUnjudged                // is never a repeat nor part of a cycle; its errors and its use still count
)

var classNames = enum.Names[Class]{Type: "Class", Of: []string{ //nolint:gochecknoglobals // a table
	ClassOrdinary: "ordinary", ClassPoll: "poll", ClassRepeatable: "repeatable", ClassUnjudged: "unjudged",
}}

// String returns "ordinary", "poll", "repeatable" or "unjudged".
func (c Class) String() string { return classNames.String(c) }

// MarshalText makes a Class readable in JSON and YAML. It never fails.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (c *Class) UnmarshalText(text []byte) error {
	if allowed := classNames.Parse(text, c); allowed != "" {
		return &core.ConfigError{Field: classNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
