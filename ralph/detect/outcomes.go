package detect

import "time"

// outcome counts whether what the agent did went well.
func (r *Run) outcome(bad bool, kind ErrorKind, unjudged bool, now time.Duration) {
	s := &r.s
	r.rate(bad, now)
	switch {
	case bad:
		s.Totals.Errors++
		s.Errors++
		s.Transient++
		if kind != ErrorKindTransient {
			s.Transient = 0
		}
	case !unjudged: // thinking aloud always goes well
		s.Errors, s.Transient = 0, 0
	}
	// Passing errors alone are that, and not a failing agent.
	errs := s.Errors
	if errs == s.Transient {
		errs = 0
	}
	r.count(RuleTransient, r.d.rules.Transient, max(s.Transient, s.FailedPass))
	if r.count(RuleErrors, r.d.rules.Errors, errs) == LevelNudge {
		r.weak(byErrors)
	}
}

// rate counts the share of errors in the last ErrorRateFor.
func (r *Run) rate(bad bool, now time.Duration) {
	s := &r.s
	at := int32(min(now/(r.d.rules.ErrorRateFor/rateParts), 1<<31-1-rateParts))
	if at-s.RateAt >= rateParts || at < s.RateAt {
		s.Rate = [rateParts]ratePart{}
		s.RateAt = at
	}
	for ; s.RateAt < at; s.RateAt++ {
		s.Rate[(s.RateAt+1)%rateParts] = ratePart{}
	}
	part := &s.Rate[at%rateParts]
	if part.Steps < 1<<16-1 {
		part.Steps++
		if bad {
			part.Errors++
		}
	}
	steps, errs := 0, 0
	for _, p := range s.Rate {
		steps += int(p.Steps)
		errs += int(p.Errors)
	}
	share := uint32(0)
	if steps >= r.d.rules.ErrorRateSteps {
		share = uint32(100 * errs / steps)
	}
	if _, limit := r.d.rules.ErrorRate.level(100); 5*share >= 4*uint32(limit) && share < uint32(limit) {
		return // near the limit nothing begins or ends, so that it does not flap
	}
	r.count(RuleErrorRate, r.d.rules.ErrorRate, share)
}

// sameError counts errors of one kind, or of one fingerprint, among the last calls.
// The last call is one.
func (r *Run) sameError(kind ErrorKind, mark uint64) {
	if rule, lim := r.kindRule(kind); rule != 0 {
		r.keyed(rule, uint64(kind), lim, r.amongKind(rule, kind))
		return
	}
	n := r.among(RuleSameError, func(i int) bool {
		// Passing errors have another kind, and are counted in a row.
		return r.s.Ring.Flags[i]&(failed|kindMask) == failed && r.s.Ring.Out[i] == uint32(mark)
	})
	r.keyed(RuleSameError, mark, r.d.rules.SameError, n)
}

// amongKind counts the calls in the ring that failed in one way.
func (r *Run) amongKind(rule Rule, kind ErrorKind) uint32 {
	return r.among(rule, func(i int) bool { return r.s.Ring.Flags[i]&(failed|kindMask) == failed|flags(kind) })
}

// kindRule is the rule for errors of which more is known than their text.
func (r *Run) kindRule(kind ErrorKind) (Rule, Limits) {
	switch kind { //nolint:exhaustive // the others have none
	case ErrorKindPermission:
		return RulePermission, r.d.rules.Permission
	case ErrorKindUnknownTool:
		return RuleUnknownTool, r.d.rules.UnknownTool
	case ErrorKindAuth:
		return RuleAuth, r.d.rules.Auth
	case ErrorKindQuota:
		return RuleQuota, r.d.rules.Quota
	}
	return 0, Limits{}
}

// iteration ends one.
func (r *Run) iteration(it *Iteration) {
	s := &r.s
	s.Totals.Iterations++
	s.UsedIts++
	s.Iterates = true
	r.failure(it)
	r.blocked(false)
	r.decline(it)
	s.CallsHere, s.Questioned, s.Called, s.OutputHere = 0, false, false, 0
	s.Marks.Reached[RuleCalls] = 0
	if s.Fingerprints.Armed {
		s.SinceIts++
		r.raise(RuleNoProgress, r.d.rules.NoProgress, s.SinceIts)
	}
}

// failure counts iterations that failed.
func (r *Run) failure(it *Iteration) {
	s := &r.s
	r.s.Questioned = r.s.Questioned || it.Question
	if !it.Failed && it.Err == "" && it.Exit == 0 && it.Kind == ErrorKindOther {
		s.Failures, s.FailedPass, s.FailedAlike = 0, 0, 0
		s.Marks.Reached[RuleFailures] = 0
		return
	}
	s.Totals.Failures++
	s.Failures++
	if it.Kind != s.FailedKind {
		s.FailedKind, s.FailedAlike = it.Kind, 0
	}
	s.FailedAlike++
	if rule, lim := r.kindRule(it.Kind); rule != 0 {
		r.keyed(rule, uint64(it.Kind), lim, s.FailedAlike)
	}
	s.FailedPass++
	if it.Kind != ErrorKindTransient {
		s.FailedPass = 0
	}
	if s.FailedPass == s.Failures {
		r.count(RuleTransient, r.d.rules.Transient, max(s.Transient, s.FailedPass))
		return
	}
	r.count(RuleFailures, r.d.rules.Failures, s.Failures)
}

// blocked counts iterations in which nothing was done but asking. A step that
// cannot go on need not wait for the end of one.
func (r *Run) blocked(now bool) {
	lim := r.d.rules.Blocked
	switch {
	case now:
		if lim.Trip != never {
			r.reach(RuleBlocked, LevelTrip, 1, 1)
		}
		return
	case r.s.Questioned && !r.s.Called:
		bump(&r.s.Blocked, 1)
	default:
		r.s.Blocked = 0
	}
	r.count(RuleBlocked, lim, uint32(r.s.Blocked))
}

// decline compares the output of an iteration with a moving average.
func (r *Run) decline(it *Iteration) {
	s := &r.s
	out := float64(max(s.OutputHere, int64(it.Output), 0))
	if s.Outputs >= fewOutputs && out < declined*s.Output {
		bump(&s.Low, 1)
	} else {
		s.Low = 0
	}
	if s.Outputs == 0 {
		s.Output = out
	}
	s.Output += newest * (out - s.Output)
	s.Outputs = min(s.Outputs+1, fewOutputs)
	if r.count(RuleDecline, r.d.rules.Decline, uint32(s.Low)) == LevelNudge {
		r.weak(byDecline)
	}
}
