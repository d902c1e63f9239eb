package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// figures are what the rules have found in a set by default.
type figures struct {
	title         string
	all           [3]int    // runs, by sort
	found         [3][3]int // runs, by level and sort
	loops, inLoop int       // runs that plainly loop, and how many of those were nudged
	alarms        []string  // trips on good runs
}

func figuresOf(s *set, traces []trace) (figures, error) {
	f := figures{title: s.title}
	for i := range traces {
		t := &traces[i]
		f.all[t.sort]++
		reached := detect.Level(0)
		err := ours(detect.Rules{}, t, func(unit int, found detect.Finding) {
			if found.Level == detect.LevelTrip && reached < detect.LevelTrip && t.sort == good {
				f.alarms = append(f.alarms, alarm(s, t, unit, found))
			}
			reached = max(reached, found.Level)
		})
		if err != nil {
			return f, fmt.Errorf("%s: %s: %w", s.dir, t.name, err)
		}
		for l := detect.LevelNudge; l <= reached; l++ {
			f.found[l][t.sort]++
		}
		if t.loops() {
			f.loops++
			if reached > 0 {
				f.inLoop++
			}
		}
	}
	return f, nil
}

// alarm is a trip on a good run, with the steps that it is founded on.
func alarm(s *set, t *trace, unit int, f detect.Finding) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s, at %d of %d %s: %v, %.4g of %.4g: %s", s.title, t.name, unit+1, t.units, s.unit, f.Rule, f.Count, f.Threshold, f.Message)
	var steps []*detect.Step
	for i := range t.events {
		if step := t.events[i].step; step != nil {
			steps = append(steps, step)
		}
	}
	for _, e := range f.Evidence {
		switch {
		case e.From != "":
			fmt.Fprintf(&text, "\n    hand-off %d: %s to %s", e.Index, e.From, e.To)
		case e.Index > 0 && int(e.Index) <= len(steps):
			step := steps[e.Index-1]
			fmt.Fprintf(&text, "\n    step %d: %s(%.160q) failed=%v: %.160q", e.Index, step.Tool, step.Args, step.Failed, step.Output+step.Err)
		}
	}
	return text.String()
}

// summarize prints a line for each set, and then each trip on a good run.
func summarize(out io.Writer, all []figures) error {
	fmt.Fprint(out, "\nAll sets, with 95 % confidence intervals\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "set\tgood\tbad\ttrips, good\ttrips, bad\tnudges, good\tnudges, bad\tplain loops found")
	for i := range all {
		f := &all[i]
		fmt.Fprintf(w, "%s\t%d\t%d", f.title, f.all[good], f.all[bad])
		for _, l := range []detect.Level{detect.LevelTrip, detect.LevelNudge} {
			for _, s := range []sort{good, bad} {
				fmt.Fprintf(w, "\t%s", ratio(f.found[l][s], f.all[s]))
			}
		}
		fmt.Fprintf(w, "\t%s\n", ratio(f.inLoop, f.loops))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprint(out, "\nTrips on good runs\n\n")
	for i := range all {
		for _, a := range all[i].alarms {
			fmt.Fprintln(out, " ", a)
		}
	}
	return nil
}

// ratio is a share of n with its interval.
func ratio(k, n int) string {
	if n == 0 {
		return "-"
	}
	low, high := interval(k, n)
	return fmt.Sprintf("%d/%d [%.2f, %.2f]", k, n, low, high)
}

// interval is that of Wilson ("Probable inference", 1927), for 95 %.
func interval(k, n int) (low, high float64) {
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(middle-half, 0), min(middle+half, 1)
}
