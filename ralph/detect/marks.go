package detect

import (
	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// marks remember what was reported, so that a rule reports a level once. Its fields
// have capitals for encoding/binary, like those of all states here.
type marks struct {
	Reached [numRules]uint8 // the level, and in the bits above 2 the severity
	Slots   [numSlots]slot
}

const (
	numSlots  = 8
	probation = 20 // events for which one that was nudged has a shorter way to a trip
)

// slot is a finding of a rule that counts many things at once.
type slot struct {
	Key   uint64 // which of them it is about
	Until uint32 // the event before which it is forgotten
	Rule  Rule
	Level Level
	Told  bool // the agent was nudged
}

// rise reports whether a level, or the severity at the same, is higher than what was
// reported since the rule was last at none.
func (m *marks) rise(rule Rule, level Level, sev condition.Severity) bool {
	now := uint8(level) | uint8(sev)<<2
	if level == 0 {
		now = 0
	} else if level < m.level(rule) || level == m.level(rule) && now <= m.Reached[rule] {
		return false
	}
	m.Reached[rule] = now
	return level > 0
}

// level is what was reported of a rule since it was last at none.
func (m *marks) level(rule Rule) Level { return Level(m.Reached[rule] & 3) }

// keyed is rise for one of the things that a rule counts. It returns the level and
// the limit if they are to be reported at the event at.
func (m *marks) keyed(rule Rule, key uint64, at uint32, lim Limits, n int) (Level, int) {
	s, had := m.find(rule, key, at), Level(0)
	if s != nil {
		had = s.Level
	}
	level, limit := lim.after(had, n)
	if s != nil && s.Told {
		if fresh := lim.fresh(); fresh != never && n >= fresh {
			level, limit = LevelTrip, fresh
		}
	}
	if level == 0 {
		return 0, 0
	}
	if s == nil {
		s = m.slot(rule, key, at)
	}
	s.Until = at + probation
	if level <= s.Level {
		return 0, 0
	}
	s.Level = level
	return level, limit
}

// find returns the slot of a rule and a key, or nil.
func (m *marks) find(rule Rule, key uint64, at uint32) *slot {
	for i := range m.Slots {
		if s := &m.Slots[i]; s.Rule == rule && s.Key == key && s.Until > at {
			return s
		}
	}
	return nil
}

// slot returns the slot of a rule and a key, at the cost of the one that would be
// forgotten first.
func (m *marks) slot(rule Rule, key uint64, at uint32) *slot {
	if s := m.find(rule, key, at); s != nil {
		return s
	}
	first := &m.Slots[0]
	for i := range m.Slots {
		if s := &m.Slots[i]; s.Until < first.Until {
			first = s
		}
	}
	*first = slot{Key: key, Rule: rule, Until: at + probation}
	return first
}

// told begins the probation of what the rule has nudged for.
func (m *marks) told(rule Rule, at uint32) {
	for i := range m.Slots {
		if s := &m.Slots[i]; s.Rule == rule && s.Level == LevelNudge {
			s.Told, s.Until = true, at+probation
		}
	}
}

// forget drops what was reported by the rules.
func (m *marks) forget(rules ...Rule) {
	for _, rule := range rules {
		m.Reached[rule] = 0
		for i := range m.Slots {
			if m.Slots[i].Rule == rule {
				m.Slots[i] = slot{}
			}
		}
	}
}
