package detect

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// Finding is a rule that has reached a level.
type Finding struct {
	Rule     Rule               `json:"rule"`
	Level    Level              `json:"level"`
	Reason   Reason             `json:"reason"`
	Severity condition.Severity `json:"severity"`
	// Count is what the rule has counted and Threshold what it has reached: a
	// number of events, seconds, tokens, a share, by the rule.
	Count     float64 `json:"count"`
	Threshold float64 `json:"threshold"`
	// Message tells the model what happened and what to do instead.
	Message string `json:"message"`
	// Evidence are the latest of the events that matched, at most 8, oldest first.
	Evidence []Event `json:"evidence,omitempty"`
	// Agents are those that a finding of a [Graph] is about, at most 8; nil for
	// other findings.
	Agents []string `json:"agents,omitempty"`
	// At is the time of the event that was one too many.
	At time.Time `json:"at,omitzero"`
}

// Condition is f in the terms of package condition. Its type is the name of the
// rule; its metadata are "level", "reason" and, if there are some, "agents" and
// "steps", the indexes of the evidence.
func (f Finding) Condition() condition.Condition {
	meta := map[string]string{"level": f.Level.String(), "reason": f.Reason.String()}
	if len(f.Agents) > 0 {
		meta["agents"] = strings.Join(f.Agents, ",")
	}
	if len(f.Evidence) > 0 {
		var steps []byte
		for i, e := range f.Evidence {
			if i > 0 {
				steps = append(steps, ',')
			}
			steps = strconv.AppendUint(steps, e.Index, 10)
		}
		meta["steps"] = string(steps)
	}
	return condition.Condition{
		Type:      condition.Type(f.Rule.String()),
		Severity:  f.Severity,
		Message:   f.Message,
		Threshold: f.Threshold,
		Value:     f.Count,
		At:        f.At,
		Metadata:  meta,
	}
}

// worstFirst sorts findings by level and severity and otherwise leaves the order.
func worstFirst(found []Finding) {
	if len(found) < 2 {
		return
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		if a.Level != b.Level {
			return int(b.Level) - int(a.Level)
		}
		return int(b.Severity) - int(a.Severity)
	})
}
