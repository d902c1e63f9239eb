package detect

import (
	"errors"
)

// ErrExhausted matches, with [errors.Is], the error of a [Budget] that is used up.
var ErrExhausted = errors.New("budget exhausted")

// ExhaustedError says what is used up. It matches [ErrExhausted].
type ExhaustedError struct {
	Finding Finding // a trip
}

// Error says what, how much of it was used, and how much may be.
func (e *ExhaustedError) Error() string {
	return "detect: budget exhausted: " + e.Finding.Rule.String() + ": " + e.Finding.Message
}

// Is reports whether target is [ErrExhausted].
func (e *ExhaustedError) Is(target error) bool { return target == ErrExhausted }
