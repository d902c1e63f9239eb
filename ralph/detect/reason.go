package detect

import (
	"fmt"
	"strconv"
	"strings"
)

// Reason is why an agent does not get on, which decides how it may go on again.
type Reason uint8

// The reasons.
const (
	Stuck     Reason = 1 + iota // it does what it has done before; a pause and a hint may help
	Failing                     // what it does fails
	Exhausted                   // it has used up what it may use; only a raise helps
	Blocked                     // it needs a human
	Transient                   // something it needs is away for a while; waiting helps
)

// String returns "stuck", "failing", "exhausted", "blocked" or "transient", and
// "none" for zero.
func (r Reason) String() string {
	switch r {
	case 0:
		return "none"
	case Stuck:
		return "stuck"
	case Failing:
		return "failing"
	case Exhausted:
		return "exhausted"
	case Blocked:
		return "blocked"
	case Transient:
		return "transient"
	}
	return "Reason(" + strconv.Itoa(int(r)) + ")"
}

// MarshalText makes a Reason readable in JSON and YAML. It never fails.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText has written of a known reason.
func (r *Reason) UnmarshalText(text []byte) error {
	return named(r, text, Reason(0), Transient, "reason")
}

// named sets v to the constant between first and last whose name is text.
func named[T interface {
	~uint8
	fmt.Stringer
}](v *T, text []byte, first, last T, what string,
) error {
	var names []string
	for known := first; known <= last; known++ {
		if string(text) == known.String() {
			*v = known
			return nil
		}
		names = append(names, known.String())
	}
	return fmt.Errorf("detect: %s is %.64q, allowed: %s", what, text, strings.Join(names, ", "))
}
