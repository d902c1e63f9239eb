package detect

import (
	"math"

	"github.com/blackbox4/switchgear/core"
)

// reply takes in what the agent said without calling a tool.
func (r *Run) reply(s *Step, bad bool) {
	said := either(s.Output, s.OutputBytes)
	r.s.OutputHere += int64(len(said))
	if bad { // it may have said nothing because of that
		if rule, lim := r.kindRule(s.Kind); rule != 0 {
			r.keyed(rule, uint64(s.Kind), lim, r.amongKind(rule, s.Kind)+1)
		}
		return
	}
	k := similarOf(said)
	stale := uint16(1)
	switch {
	case k.Words == 0:
	case k.near(&r.s.Reply):
		if r.s.Empty == 0 {
			stale = 2 // the one before was the first of them
		}
	default:
		r.s.Empty, r.s.EmptySaid, stale = 0, 0, 0
	}
	if k.Words > 0 {
		r.s.Reply = k
	}
	bump(&r.s.Empty, stale)
	if !s.Reasoning {
		bump(&r.s.EmptySaid, stale)
	}
	lim := r.d.rules.Empty
	if int(r.s.EmptySaid) < lim.Trip {
		lim.Trip = never
	}
	r.count(RuleEmpty, lim, uint32(r.s.Empty))
}

// confidence takes in how sure somebody is.
func (r *Run) confidence(v *float64) error {
	if v == nil {
		return nil
	}
	if !(*v >= 0 && *v <= 1) { // NaN too
		return &core.ConfigError{Field: "Step.Confidence", Value: *v, Allowed: "0 to 1"}
	}
	s, lim := &r.s, r.d.rules.Confidence
	if s.Confidences == 0 {
		s.Confidence = *v
	}
	s.Confidence += newest * (*v - s.Confidence)
	s.Confidences = min(s.Confidences+1, maxSamples)
	judged := s.Confidence // what trips
	if lim.Single {
		judged = *v
	}
	level, limit, count := Level(0), 0.0, s.Confidence
	switch {
	case lim.Single && *v >= lim.Leave: // it is sure again, whatever the average
	case int(s.Confidences) >= lim.Samples && judged < lim.Trip:
		count = judged
		level, limit = LevelTrip, lim.Trip
	case s.Confidence < lim.Nudge:
		level, limit = LevelNudge, lim.Nudge
	case *v <= lim.High && lim.Nudge > 0:
		level, limit, count = LevelNudge, lim.High, *v
	case s.Confidence < lim.Leave:
		return nil // neither found anew nor over
	}
	if r.reach(RuleConfidence, level, count, limit) == LevelNudge {
		r.weak(byDoubt)
	}
	return nil
}

// meter takes in what was used.
func (r *Run) meter(tokens int64, cost float64) error {
	u, err := (Use{Tokens: tokens, Cost: cost}).check("Step.")
	r.s.UsedTokens = sum(r.s.UsedTokens, u.Tokens)
	r.s.UsedCost = sum(r.s.UsedCost, u.Cost)
	r.s.Totals.Tokens = sum(r.s.Totals.Tokens, u.Tokens)
	if u.Cost > 0 {
		r.s.Totals.Cost += cost
	}
	return err
}

// sum is a+b, neither of which is negative, at most the largest int64.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
