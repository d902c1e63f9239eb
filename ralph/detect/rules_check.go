package detect

import (
	"errors"
	"maps"

	"github.com/blackbox4/switchgear/core"
)

const (
	maxCount = 1_000_000
	maxTools = 1000
)

func (r Rules) withDefaults() Rules {
	for _, d := range table {
		for _, l := range d.limits {
			*l.of(&r) = l.or(&r)
		}
		if d.fill != nil {
			d.fill(&r)
		}
	}
	r.Tools = maps.Clone(r.Tools)
	return r
}

// Validate reports every fault of r at once, joined; each is a
// [*core.ConfigError]. It returns nil for Rules that [New] accepts.
func (r Rules) Validate() error {
	faults := fault(r.Profile < numProfiles, "Profile", r.Profile, "default, strict, unattended")
	for _, d := range table {
		for _, l := range d.limits {
			faults = append(faults, l.or(&r).faults(l.field, l.least, l.most)...)
		}
		if d.faults != nil {
			faults = append(faults, d.faults(r)...)
		}
	}
	if len(r.Tools) > maxTools {
		return errors.Join(append(faults, fault(false, "Tools", len(r.Tools), "at most 1000 tools")...)...)
	}
	for tool, class := range r.Tools {
		faults = append(faults, fault(class <= ClassUnjudged, "Tools["+clip(tool)+"]", class, "ordinary, poll, repeatable, unjudged")...)
	}
	return errors.Join(faults...)
}

// fault is the fault of a field that is not ok.
func fault(ok bool, field string, value any, allowed string) []error {
	if ok {
		return nil
	}
	return []error{&core.ConfigError{Field: field, Value: value, Allowed: allowed}}
}
