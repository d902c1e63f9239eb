package detect

import (
	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/enum"
)

// Profile is a set of defaults for the fields of [Rules] that are left out. The zero
// Profile is [ProfileDefault].
//
//	                                   Default    Strict     Unattended
//	Errors                             4, 10      4, 5       4, 15
//	ErrorRate, in ErrorRateFor         80 %       50 %       never
//	Transient                          3, 5       3, 5       3, 20
//	NoProgress, in iterations          3, 10      3, 10      5, 30
//	NoProgressSteps                    40, 120    10, 15     100, 400
//	NoProgressFor                      never      60, 120 s  never
//	Calls                              500        160, 200   2000
//	PollFor                            1 h        15 min     6 h
//	Budgets.Iterations                 no limit   100        no limit
//	Budgets.Wall                       no limit   300 s      no limit
//	Budgets.Idle                       no limit   10 min     no limit
//	Budgets.Hops                       200        200        2000
//
// Where one number stands, for Calls it is that of the nudge, and for ErrorRate and
// PollFor that of the trip.
type Profile uint8

// The profiles.
const (
	// ProfileDefault suits agents that a person starts and looks at now and then. It
	// trips on what goes round in circles, and on no agent for the time that it takes.
	ProfileDefault Profile = iota
	// ProfileStrict has the numbers of the circuit breaker that this package continues.
	// It suits short tasks of a few minutes that cost less to start anew than to let go
	// on; it stops agents that work for longer.
	ProfileStrict
	// ProfileUnattended suits agents that run for hours while no person is there to
	// resume them: it gives more time to what may pass by itself.
	ProfileUnattended

	numProfiles = iota
)

var profileNames = enum.Names[Profile]{Type: "Profile", Of: []string{ //nolint:gochecknoglobals // a table
	ProfileDefault: "default", ProfileStrict: "strict", ProfileUnattended: "unattended",
}}

// String returns "default", "strict" or "unattended".
func (p Profile) String() string { return profileNames.String(p) }

// MarshalText makes a Profile readable in JSON and YAML. It never fails.
func (p Profile) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText has written. The error, a *core.ConfigError,
// names what is allowed.
func (p *Profile) UnmarshalText(text []byte) error {
	if allowed := profileNames.Parse(text, p); allowed != "" {
		return &core.ConfigError{Field: profileNames.Type, Value: string(text), Allowed: allowed}
	}
	return nil
}

// by returns the value of the profile; of one that is unknown, that of the default.
func by[T any](p Profile, values [numProfiles]T) T {
	if p >= numProfiles {
		p = ProfileDefault
	}
	return values[p]
}
