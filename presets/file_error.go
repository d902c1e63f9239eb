package presets

import (
	"fmt"
	"strings"
)

// FileError is one fault of a file, or of what [Decode] was given. [Load] and
// Decode report all of them, joined, up to twenty.
type FileError struct {
	File         string // as given to [Load]; empty from Decode
	Line, Column int    // from 1; 0 if the fault has no place
	Field        string // "policies.payments.timeout"; empty if the fault is in no field
	Problem      string // what is wrong with it, and what is allowed: "is not a known field"
	// Err is the cause, if there is one: a [*core.ConfigError] for a value that is
	// not allowed, or the error that reading the file gave.
	Err error
}

// Error is "file:line:column: field problem", without the parts that are not
// known.
func (e *FileError) Error() string {
	var s strings.Builder
	if e.File != "" {
		s.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		if e.File == "" {
			s.WriteString("line ")
		}
		fmt.Fprintf(&s, "%d:%d:", e.Line, e.Column)
	}
	if s.Len() > 0 {
		s.WriteByte(' ')
	}
	if e.Field != "" {
		s.WriteString(e.Field + " ")
	}
	s.WriteString(e.Problem)
	return s.String()
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }
