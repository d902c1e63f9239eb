package ralph

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// Cause is why an agent was told something, paused or escalated: a rule, what it
// has counted, what it may count, and the events that it is founded on.
type Cause struct {
	// Rule is the name of a [detect.Rule], the type of a [failsafe.Condition]
	// of the host, or one of the constants of this package.
	Rule     string            `json:"rule"`
	Reason   detect.Reason     `json:"reason"`
	Severity failsafe.Severity `json:"severity"`
	// Count is what the rule has counted and Threshold what it has reached; the
	// unit is that of the rule.
	Count     float64 `json:"count"`
	Threshold float64 `json:"threshold"`
	// Message says what happened and what to do instead.
	Message string `json:"message"`
	// Evidence are the latest events that the rule is founded on, at most 8,
	// oldest first. Do not change them.
	Evidence []detect.Event `json:"evidence,omitempty"`
	// Agents are the ids of those concerned, at most 8, if there are several.
	Agents []string `json:"agents,omitempty"`
	// After is, of RuleRecovery, the rule that the agent was paused for at first.
	After string    `json:"after,omitzero"`
	At    time.Time `json:"at,omitzero"`
}

// Rules of a [Cause] that are not of package detect or failsafe.
const (
	RuleManual   = "manual"   // a person or the caller paused the agent
	RuleRecovery = "recovery" // it was resumed on probation and got nowhere, see [Probation]
	RuleBreaker  = "breaker"  // its circuit breaker is open, and refused an iteration
	RuleHost     = "host"     // the gate Vitals refused with an error of its own
)

// causeOf is the cause that a finding is.
func causeOf(f detect.Finding) Cause {
	return Cause{
		Rule: f.Rule.String(), Reason: f.Reason, Severity: f.Severity, Count: f.Count, Threshold: f.Threshold,
		Message: f.Message, Evidence: f.Evidence, Agents: f.Agents, At: f.At,
	}
}

// String says it in one line.
func (c Cause) String() string {
	var s strings.Builder
	if c.Reason != 0 {
		s.WriteString(c.Reason.String() + ", ")
	}
	s.WriteString(c.Rule)
	if c.Threshold != 0 {
		fmt.Fprintf(&s, " (%s of %s)", number(c.Count), number(c.Threshold))
	}
	if c.Message != "" {
		s.WriteString(": " + c.Message)
	}
	if len(c.Agents) > 0 {
		s.WriteString(" [agents " + strings.Join(c.Agents, ", ") + "]")
	}
	for i, e := range c.Evidence {
		if i == 0 {
			s.WriteString(" [events")
		}
		s.WriteString(" " + strconv.FormatUint(e.Index, 10))
		if e.Tool != "" {
			s.WriteString(" " + e.Tool)
		}
		if e.From != "" {
			s.WriteString(" " + e.From + " to " + e.To)
		}
		s.WriteByte([]byte{',', ']'}[min(max(i+2-len(c.Evidence), 0), 1)])
	}
	return s.String()
}

// condition is c in the terms of package failsafe.
func (c Cause) condition() failsafe.Condition {
	meta := map[string]string{"reason": c.Reason.String()}
	if len(c.Agents) > 0 {
		meta["agents"] = strings.Join(c.Agents, ",")
	}
	return failsafe.Condition{
		Type: failsafe.Type(c.Rule), Severity: c.Severity, Message: c.Message,
		Threshold: c.Threshold, Value: c.Count, At: c.At, Metadata: meta,
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
