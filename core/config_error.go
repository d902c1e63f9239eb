package core

import (
	"fmt"

	"github.com/blackbox4/switchgear/internal/enum"
)

// ConfigError is one fault of a [Config], a name or an [Override], or of what
// another package of this module is configured with.
type ConfigError struct {
	Field   string // the Go name of the field, "Window.Calls"
	Value   any    // what it was
	Allowed string // what it may be
}

// Error names the field, its value and what is allowed.
func (e *ConfigError) Error() string {
	if s, ok := e.Value.(string); ok {
		const shown = 64 // a hostile name must not fill the log
		if len(s) > shown {
			return fmt.Sprintf("switchgear: %s is %q… (%d bytes), allowed: %s", e.Field, s[:shown], len(s), e.Allowed)
		}
		return fmt.Sprintf("switchgear: %s is %q, allowed: %s", e.Field, s, e.Allowed)
	}
	return fmt.Sprintf("switchgear: %s is %+v, allowed: %s", e.Field, e.Value, e.Allowed)
}

// readEnum sets v to the constant that text names.
func readEnum[T ~uint8](names enum.Names[T], text []byte, v *T) error {
	if allowed := names.Parse(text, v); allowed != "" {
		return &ConfigError{Field: names.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}
