package core

import "time"

// Waited takes d out of the time that the call is said to have taken: time in
// which the dependency was not at work but was itself waited for by nobody, for
// it waited for the caller's bytes. More than the call has taken so far is all of
// that. A d that is not positive does nothing; nor does a call after Answered, or
// after the permit was settled.
func (p *Permit) Waited(d time.Duration) {
	switch {
	case d <= 0 || p.has(settled) || p.has(stopped):
	case p.other != nil:
		for i := range p.other.parts {
			p.other.parts[i].Waited(d)
		}
	case p.has(timed):
		now := p.phase.breaker.now()
		p.start += min(d, max(now-p.start, 0))
	}
}
