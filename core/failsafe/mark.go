package failsafe

// mark is one level that a reading can reach. It goes on at from and off below
// until, each after so many readings in a row: the flapping of a value that stays
// about one level makes no difference. (Schmitt, "A Thermionic Trigger", 1938.)
type mark struct {
	severity     Severity
	from, until  float64
	above, below int // readings in a row, up to the number that counts
	on           bool
}

// newMarks returns the marks of a vital, least severe first. A level that is lower
// than the threshold is met together with it.
func newMarks(t Type, threshold, margin float64) [3]mark {
	const high, criticalCPU, critical = 95, 99, 98
	most := float64(critical)
	if t == CPU {
		most = criticalCPU
	}
	var marks [3]mark
	for i, from := range []float64{threshold, max(threshold, high), max(threshold, most)} {
		marks[i] = mark{severity: Medium + Severity(i), from: from, until: from - margin}
	}
	return marks
}

func (m *mark) note(value float64, samples int) {
	switch {
	case value >= m.from:
		m.above, m.below = min(m.above+1, samples), 0
	case value < m.until:
		m.above, m.below = 0, min(m.below+1, samples)
	default:
		m.above, m.below = 0, 0
	}
	switch samples {
	case m.above:
		m.on = true
	case m.below:
		m.on = false
	}
}
