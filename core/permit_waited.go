package core

import "time"

// Waited takes d off the time that the call is said to have taken: what its holder
// has spent waiting for its own caller says nothing about the dependency. It may be
// called several times before the permit is settled; what is taken off in excess of
// the time so far makes it zero. Zero or less does nothing.
func (p *Permit) Waited(d time.Duration) {
	switch {
	case d <= 0 || p.has(settled):
	case p.has(stopped):
		p.start = max(p.start-d, 0)
	case p.has(timed | sampled):
		p.start += d
	case p.other != nil:
		for i := range p.other.parts {
			p.other.parts[i].Waited(d)
		}
	}
}
