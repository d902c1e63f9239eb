package core

import "github.com/blackbox4/switchgear/internal/enum"

// Outcome is what became of an admitted call. The zero Outcome, like any other
// value that is not one of the constants, is taken for a [Failure]: a
// classifier that forgets a case must not hide a sick dependency.
type Outcome uint8

// The outcomes of a call.
const (
	Success Outcome = iota + 1 // the dependency did its work
	Failure                    // the dependency did not
	Ignored                    // says nothing about the dependency; counts nowhere and gives a probe's place back
)

var outcomeNames = enum.Names[Outcome]{Type: "Outcome", Of: []string{Success: "success", Failure: "failure", Ignored: "ignored"}} //nolint:gochecknoglobals // a table

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string { return outcomeNames.String(o) }

// MarshalText makes an Outcome readable in JSON and YAML. It never fails.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (o *Outcome) UnmarshalText(text []byte) error {
	return readEnum(outcomeNames, text, o)
}

// known maps everything that is not an Outcome to Failure.
func (o Outcome) known() Outcome {
	if o == Success || o == Ignored {
		return o
	}
	return Failure
}
