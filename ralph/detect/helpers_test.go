package detect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// start is when everything begins.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// driver feeds a run, one event a second, and keeps what it finds.
type driver struct {
	t     *testing.T
	run   *detect.Run
	now   time.Time
	every time.Duration
	n     int
	fired []fired
}

// fired is a finding and the number of the event that has brought it about.
type fired struct {
	n int
	detect.Finding
}

// drive follows a run by the rules, with what they leave out as in the profile strict, whose
// numbers are the lowest.
func drive(t *testing.T, rules detect.Rules) *driver {
	t.Helper()
	rules.Profile = detect.ProfileStrict
	return driveBy(t, rules)
}

// driveBy is drive with the profile of the rules.
func driveBy(t *testing.T, rules detect.Rules) *driver {
	t.Helper()
	d, err := detect.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return &driver{t: t, run: d.NewRun(), now: start(), every: time.Second}
}

func (d *driver) step(s detect.Step) []detect.Finding {
	d.t.Helper()
	d.now = d.now.Add(d.every)
	if s.At.IsZero() {
		s.At = d.now
	}
	found, err := d.run.Observe(s)
	if err != nil {
		d.t.Errorf("step %d: %v", d.n+1, err)
	}
	return d.keep(found)
}

func (d *driver) iteration(it detect.Iteration) []detect.Finding {
	d.t.Helper()
	d.now = d.now.Add(d.every)
	it.At = d.now
	found, err := d.run.Iteration(it)
	if err != nil {
		d.t.Errorf("iteration %d: %v", d.n+1, err)
	}
	return d.keep(found)
}

func (d *driver) keep(found []detect.Finding) []detect.Finding {
	d.n++
	for _, f := range found {
		d.fired = append(d.fired, fired{d.n, f})
	}
	return found
}

// call is a step with an outcome of its own.
func (d *driver) call(tool, args, out string) []detect.Finding {
	d.t.Helper()
	return d.step(detect.Step{Tool: tool, Args: args, Output: out})
}

// fresh is a step like no other.
func (d *driver) fresh() []detect.Finding {
	d.t.Helper()
	w := word(d.n)
	return d.call("read", `{"path":"`+w+`.go"}`, "package "+w)
}

// word is different for every n, and has no digits.
func word(n int) string {
	w := []byte("file")
	for n += 26; n > 0; n /= 26 {
		w = append(w, byte('a'+n%26))
	}
	return string(w)
}

// want checks that the rule was found at the events given, each "n level", and at no
// others.
func (d *driver) want(rule detect.Rule, at ...string) {
	d.t.Helper()
	var got []string
	for _, f := range d.fired {
		if f.Rule == rule {
			got = append(got, fmt.Sprintf("%d %v", f.n, f.Level))
		}
	}
	if !slices.Equal(got, at) {
		d.t.Errorf("%v found at %q, want %q", rule, got, at)
	}
}

// quiet checks that nothing was found but by the rules given.
func (d *driver) quiet(but ...detect.Rule) {
	d.t.Helper()
	for _, f := range d.fired {
		if !slices.Contains(but, f.Rule) {
			d.t.Errorf("event %d: %v %v: %s", f.n, f.Rule, f.Level, f.Message)
		}
	}
}

// off is Limits of a rule that is off.
func off() detect.Limits { return detect.Limits{Nudge: -1, Trip: -1} }
