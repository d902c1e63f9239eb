package detect

import "maps"

// Detector is a set of [Rules], checked and ready. It is safe for concurrent use
// and shared by any number of runs and graphs. What is made by one that is nil, or was
// not made by [New], says so instead of following anything.
type Detector struct {
	rules Rules // with all defaults
	names names
}

// made reports whether d is of New's making, which leaves no interval at zero.
func (d *Detector) made() bool { return d != nil && d.rules.ErrorRateFor > 0 }

// New returns a Detector with the rules, or what [Rules.Validate] says of them.
// Nothing of rules is kept that the caller could change.
func New(rules Rules) (*Detector, error) {
	if err := rules.Validate(); err != nil {
		return nil, err
	}
	return &Detector{rules: rules.withDefaults()}, nil
}

// Rules returns the rules with every default filled in, and -1 for what is off.
func (d *Detector) Rules() Rules {
	if !d.made() {
		return Rules{}
	}
	r := d.rules
	r.Tools = maps.Clone(r.Tools)
	return r
}

// NewRun returns a Run of one agent that has done nothing yet.
func (d *Detector) NewRun() *Run { return &Run{d: d} }

// NewGraph returns a Graph of one session without hand-offs yet.
func (d *Detector) NewGraph() *Graph { return &Graph{d: d} }
