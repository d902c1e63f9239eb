package detect

import (
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// The rules for errors of which more is known than their text: they differ in nothing
// but the kind.

//nolint:gochecknoglobals // a constant
var permission = definition{
	rule: RulePermission, name: "permission", reason: ReasonBlocked, severity: condition.High,
	message:   "{n} calls were not permitted. Do not ask for them again: use what you are allowed to, or tell a human what you need and why.",
	evidence:  showsKind(ErrorKindPermission),
	limits:    []limit{{field: "Permission", of: func(r *Rules) *Limits { return &r.Permission }, nudge: 1, trip: 2, least: 1, most: recent}},
	step:      observesKind(RulePermission, ErrorKindPermission),
	iteration: observesFailures(RulePermission, ErrorKindPermission),
	clear:     func(r *Run, _ time.Duration) { r.s.ErrorKinds.Alike = 0 },
	nudged:    func(r *Run) { r.s.ErrorKinds.Since[ErrorKindPermission-1] = r.s.Made },
}

//nolint:gochecknoglobals // a constant
var unknownTool = definition{
	rule: RuleUnknownTool, name: "unknown_tool", reason: ReasonFailing, severity: condition.Medium,
	message:   "You have called tools that do not exist {n} times. Use only the tools in your list, by their exact names.",
	evidence:  showsKind(ErrorKindUnknownTool),
	limits:    []limit{{field: "UnknownTool", of: func(r *Rules) *Limits { return &r.UnknownTool }, nudge: 2, trip: 3, least: 1, most: recent}},
	step:      observesKind(RuleUnknownTool, ErrorKindUnknownTool),
	iteration: observesFailures(RuleUnknownTool, ErrorKindUnknownTool),
	clear:     func(r *Run, _ time.Duration) { r.s.ErrorKinds.Alike = 0 },
	nudged:    func(r *Run) { r.s.ErrorKinds.Since[ErrorKindUnknownTool-1] = r.s.Made },
}

//nolint:gochecknoglobals // a constant
var auth = definition{
	rule: RuleAuth, name: "auth", reason: ReasonBlocked, severity: condition.High,
	message:   "The credentials were not accepted. No repetition will help: tell a human which access is missing.",
	evidence:  showsKind(ErrorKindAuth),
	limits:    []limit{{field: "Auth", of: func(r *Rules) *Limits { return &r.Auth }, nudge: never, trip: 1, least: 1, most: recent}},
	step:      observesKind(RuleAuth, ErrorKindAuth),
	iteration: observesFailures(RuleAuth, ErrorKindAuth),
	clear:     func(r *Run, _ time.Duration) { r.s.ErrorKinds.Alike = 0 },
	nudged:    func(r *Run) { r.s.ErrorKinds.Since[ErrorKindAuth-1] = r.s.Made },
}

//nolint:gochecknoglobals // a constant
var quota = definition{
	rule: RuleQuota, name: "quota", reason: ReasonExhausted, severity: condition.High,
	message:   "A quota is used up. Stop, and report what is done and what is left.",
	evidence:  showsKind(ErrorKindQuota),
	limits:    []limit{{field: "Quota", of: func(r *Rules) *Limits { return &r.Quota }, nudge: never, trip: 1, least: 1, most: recent}},
	step:      observesKind(RuleQuota, ErrorKindQuota),
	iteration: observesFailures(RuleQuota, ErrorKindQuota),
	clear:     func(r *Run, _ time.Duration) { r.s.ErrorKinds.Alike = 0 },
	nudged:    func(r *Run) { r.s.ErrorKinds.Since[ErrorKindQuota-1] = r.s.Made },
}

type errorKindsState struct {
	Since [ErrorKindQuota]uint32 // number of the call after which each kind counts, from ErrorKindPermission on
	Alike uint16                 // of the iterations that failed last, so many were of one kind
	Kind  ErrorKind              // which
}

// ruleOfKind is the rule for errors of a kind, or 0.
func ruleOfKind(kind ErrorKind) Rule {
	switch kind { //nolint:exhaustive // the others have none
	case ErrorKindPermission:
		return RulePermission
	case ErrorKindUnknownTool:
		return RuleUnknownTool
	case ErrorKindAuth:
		return RuleAuth
	case ErrorKindQuota:
		return RuleQuota
	}
	return 0
}

// observesKind counts the calls in the ring that failed in one way, and a reply.
func observesKind(rule Rule, kind ErrorKind) func(*Run, *event) {
	return func(r *Run, e *event) {
		if !e.failed || e.Kind != kind {
			return
		}
		n := r.among(r.s.ErrorKinds.Since[kind-1], func(i int) bool { return r.s.Ring.Flags[i]&(failed|kindMask) == failed|flags(kind) })
		if e.Tool == "" {
			n++ // it is not in the ring
		}
		r.keyed(rule, uint64(kind), n)
	}
}

// observesFailures counts iterations in a row that failed in one way.
func observesFailures(rule Rule, kind ErrorKind) func(*Run, *Iteration) {
	return func(r *Run, it *Iteration) {
		if it.failed() && it.Kind == kind {
			r.keyed(rule, uint64(kind), uint32(r.s.ErrorKinds.Alike))
		}
	}
}

func showsKind(kind ErrorKind) func(*Run, int, int) bool {
	return func(r *Run, _, i int) bool { return r.s.Ring.Flags[i]&(failed|kindMask) == failed|flags(kind) }
}

// add counts an iteration.
func (s *errorKindsState) add(it *Iteration) {
	switch {
	case !it.failed():
		s.Alike = 0
	case it.Kind != s.Kind:
		s.Kind, s.Alike = it.Kind, 1
	default:
		bump(&s.Alike, 1)
	}
}
