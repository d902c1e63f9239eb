package failsafe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// gauge is one of the vitals, with what is known of it.
type gauge struct {
	Reading

	sense  sense
	marks  [3]mark
	begun  time.Time // of the first attempt to read it
	remedy string    // for what is known
}

var errNotANumber = errors.New("the reading is not a number")

// read takes a reading. What could not be read leaves the marks alone, until what
// they are made of is older than maxAge.
func (g *gauge) read(ctx context.Context, samples int, maxAge time.Duration) {
	m, err := g.sense.safely(ctx)
	now := time.Now()
	if g.begun.IsZero() {
		g.begun = now
	}
	if math.IsInf(m.percent, 0) {
		m, err = unknown, errors.Join(err, errNotANumber)
	}
	g.Err = err
	if !math.IsNaN(m.percent) {
		g.Value, g.Source, g.Detail, g.At = min(max(m.percent, 0), 100), m.source, m.detail, now
		g.remedy = m.remedy
		for i := range g.marks {
			g.marks[i].note(g.Value, samples)
		}
		return
	}
	if now.Sub(g.At) >= maxAge {
		for i := range g.marks {
			g.marks[i].on, g.marks[i].above, g.marks[i].below = false, 0, 0
		}
	}
}

// severity is that of the condition which holds, or none.
func (g *gauge) severity() Severity {
	var worst Severity
	for i := range g.marks {
		if g.marks[i].on {
			worst = g.marks[i].severity
		}
	}
	return worst
}

// left is how many readings it takes at least until the severity is below s.
func (g *gauge) left(s Severity, samples int) int {
	return samples - g.marks[max(s, Medium)-Medium].below
}

// conditions says what is wrong with the vital, and with its sensor, at now.
func (g *gauge) conditions(now time.Time, maxAge time.Duration) []Condition {
	var all []Condition
	if s := g.severity(); s > 0 {
		all = append(all, Condition{
			Type: g.Type, Severity: s, Threshold: g.Threshold, Value: g.Value, At: g.At,
			Message:  g.message(),
			Metadata: g.metadata("source", g.Source),
		})
	}
	age := now.Sub(g.begun)
	if !g.At.IsZero() {
		age = now.Sub(g.At)
	}
	fault := ""
	switch {
	case g.Err != nil:
		fault = fmt.Sprintf("%s cannot be read: %v", g.name(), g.Err)
	case age >= maxAge:
		fault = fmt.Sprintf("%s has not been known for %v", g.name(), age.Round(time.Millisecond))
	}
	if fault != "" {
		all = append(all, Condition{
			Type: Sensor, Severity: Low, Threshold: maxAge.Seconds(), Value: age.Seconds(), At: now,
			Message: fault, Metadata: g.metadata("sensor", string(g.Type)),
		})
	}
	return all
}

// message is what a person is told of the condition.
func (g *gauge) message() string {
	s := fmt.Sprintf("%s, and from %.4g %% on that is too much; it is over below %.4g %%", g.Explain(), g.Threshold, g.marks[0].until)
	if g.remedy != "" {
		s += "; to mend it, " + g.remedy
	}
	return s
}

func (g *gauge) metadata(key, value string) map[string]string {
	m := map[string]string{key: value}
	if g.Path != "" {
		m["path"] = g.Path
	}
	return m
}
