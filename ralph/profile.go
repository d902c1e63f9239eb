package ralph

import (
	"github.com/blackbox4/switchgear/ralph/detect"
)

// unattendedAttempts is how often an agent is resumed by itself where no person is there.
const unattendedAttempts = 20

// profiled returns c with what its profile says of the fields that are left out.
func (c Config) profiled() Config {
	c.Rules.Profile = or(c.Profile, c.Rules.Profile)
	c.Profile = c.Rules.Profile
	if c.Profile == detect.ProfileUnattended {
		c.MaxRecoveryAttempts = or(c.MaxRecoveryAttempts, unattendedAttempts)
		c.EscalationTimeout = or(c.EscalationTimeout, -1)
	}
	return c
}

// twoProfiles checks that the profile is given once.
func (c Config) twoProfiles(check func(ok bool, field string, value any, allowed string)) {
	check(c.Profile == 0 || c.Rules.Profile == 0, "Rules.Profile", c.Rules.Profile, "none besides Profile, which sets the same")
}

// iterationsByProfile is the budget of iterations that a task has by default; 0 is none.
func (c Config) iterationsByProfile() int {
	d, err := detect.New(detect.Rules{Profile: c.Rules.Profile})
	if err != nil {
		return 0 // the profile is at fault
	}
	return max(d.Rules().Budgets.Iterations, 0)
}
