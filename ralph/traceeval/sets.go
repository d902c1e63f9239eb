package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// set is one of the sets of runs.
type set struct {
	dir, title       string
	good, bad, other string // what the sorts of runs are here
	unit             string
	load             func(dir string) ([]trace, error)
	more             []detector
	wanted           []wanted
	brief            bool  // only the summary is printed
	least            least // what the summary must show
}

// least is what was found when it was recorded.
type least struct {
	goodTrips int // at most
	badTrips  int // at least, as the next
	loops     int
}

func (l least) missed(f *figures) (missed []string) {
	if n := f.found[detect.LevelTrip][good]; n > l.goodTrips {
		missed = append(missed, fmt.Sprintf("%s: trips on %d good runs, recorded: %d", f.title, n, l.goodTrips))
	}
	if n := f.found[detect.LevelTrip][bad]; n < l.badTrips {
		missed = append(missed, fmt.Sprintf("%s: trips on %d bad runs, recorded: %d", f.title, n, l.badTrips))
	}
	if f.inLoop < l.loops {
		missed = append(missed, fmt.Sprintf("%s: %d plain loops found, recorded: %d", f.title, f.inLoop, l.loops))
	}
	return missed
}

// recordedSet is a set in a file of recorded runs.
func recordedSet(file, title string, l least) set {
	return set{dir: file + ".jsonl.gz", title: title, bad: "bad", good: "good", other: "other", unit: "turns", load: loadRecorded, brief: true, least: l}
}

// wanted is what must hold of what our rules find by default.
type wanted struct {
	level             detect.Level
	falseAlarms       bool // none in good runs
	precision, recall float64
}

func sets() []set {
	return []set{
		{
			dir: "tau-bench-airline", title: "tau-bench airline", load: loadTau,
			bad: "reward 0", good: "reward 1", unit: "calls",
			wanted: []wanted{{level: detect.LevelTrip, falseAlarms: true}},
		},
		{
			dir: "hotpotqa-react", title: "HotpotQA, ReAct", load: loadHotpot,
			bad: "HALTED", good: "CORRECT", other: "INCORRECT", unit: "calls",
			wanted: []wanted{{level: detect.LevelTrip, falseAlarms: true}},
		},
		{
			dir: "who-and-when", title: "Who&When, Hand-Crafted", load: loadWhoWhen,
			bad: "looping", good: "not looping", unit: "rounds", more: rounds(),
			wanted: []wanted{
				{level: detect.LevelNudge, precision: 0.85, recall: 0.85},
				{level: detect.LevelTrip, precision: 0.90, recall: 0.60},
			},
		},
		recordedSet("intercode-bash", "InterCode, bash", least{goodTrips: 1, badTrips: 290, loops: 261}),
		recordedSet("intercode-sql", "InterCode, SQL", least{goodTrips: 1, badTrips: 242, loops: 219}),
		recordedSet("intercode-python", "InterCode, Python", least{goodTrips: 0, badTrips: 23, loops: 28}),
		recordedSet("intercode-ctf", "InterCode, CTF", least{goodTrips: 0, badTrips: 3, loops: 4}),
		recordedSet("react-webshop", "WebShop, ReAct", least{goodTrips: 0, badTrips: 12, loops: 12}),
		recordedSet("react-fever", "FEVER, ReAct", least{goodTrips: 1, badTrips: 5, loops: 5}),
		recordedSet("aider", "Aider on SWE-bench", least{goodTrips: 0, badTrips: 0, loops: 0}),
		recordedSet("ww-ag", "Who&When, group chat", least{goodTrips: 0, badTrips: 0, loops: 0}),
	}
}

// report prints the table of a set, and returns what is wanted of it and is not met.
func (s *set) report(out io.Writer, traces []trace) (missed []string, err error) {
	if s.brief {
		return nil, nil
	}
	count := [3]int{}
	units := 0
	for i := range traces {
		count[traces[i].sort]++
		units += traces[i].units
	}
	fmt.Fprintf(out, "\n%s: %d runs, %d %s; bad: %d %s, good: %d %s", s.title, len(traces), units, s.unit, count[bad], s.bad, count[good], s.good)
	if s.other != "" {
		fmt.Fprintf(out, ", other: %d %s", count[other], s.other)
	}
	fmt.Fprint(out, "\n\n")
	for i := range traces {
		for _, what := range traces[i].unread {
			fmt.Fprintln(out, "left out:", what)
		}
	}

	found := make([]map[detect.Rule][3]int, len(traces))
	for i := range traces {
		var err error
		if found[i], err = levels(detect.Rules{}, &traces[i]); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", s.dir, traces[i].name, err)
		}
	}
	by := func(rule detect.Rule, level detect.Level) func(int) int {
		return func(i int) int {
			if at, ok := found[i][rule]; ok {
				return at[level]
			}
			return -1
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tbad\tgood\tother\tprecision\trecall\tlag\tsaved\tlost\t  ")
	line := func(name string, at func(int) int) score {
		sc := judge(traces, at)
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\t  %s\n", sc.fired[bad], sc.fired[good], sc.fired[other],
			share(sc.fired[bad], sc.all()), share(sc.fired[bad], count[bad]), sc.lag(), sc.saved, sc.lost, name)
		return sc
	}
	var verdicts []string
	for _, level := range []detect.Level{detect.LevelNudge, detect.LevelTrip} {
		sc := line(fmt.Sprintf("all rules: %v", level), by(0, level))
		for _, want := range s.wanted {
			if want.level == level {
				verdicts = append(verdicts, want.verdict(sc, count[bad]))
			}
		}
	}
	for rule := detect.RuleRepeat; rule <= detect.RuleHops; rule++ {
		for _, level := range []detect.Level{detect.LevelNudge, detect.LevelTrip} {
			if slices.ContainsFunc(found, func(m map[detect.Rule][3]int) bool { at, ok := m[rule]; return ok && at[level] >= 0 }) {
				line(fmt.Sprintf("  %v: %v", rule, level), by(rule, level))
			}
		}
	}
	for _, d := range append(baselines(), s.more...) {
		line(d.name, func(i int) int { return d.fire(&traces[i]) })
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	fmt.Fprintln(out)
	for _, v := range verdicts {
		fmt.Fprintln(out, v)
		if strings.HasPrefix(v, notMet) {
			missed = append(missed, s.title+": "+v)
		}
	}
	return missed, nil
}

// score is what a detector has found in a set.
type score struct {
	fired       [3]int
	lags        []int
	saved, lost int
}

func judge(traces []trace, at func(i int) int) score {
	var s score
	for i := range traces {
		t := &traces[i]
		unit := at(i)
		if unit < 0 {
			continue
		}
		s.fired[t.sort]++
		left := max(t.units-1-unit, 0)
		if t.sort == bad {
			s.saved += left
		} else {
			s.lost += left
		}
		if t.first >= 0 {
			s.lags = append(s.lags, unit-t.first)
		}
	}
	slices.Sort(s.lags)
	return s
}

func (s *score) all() int { return s.fired[bad] + s.fired[good] + s.fired[other] }

func (s *score) lag() string {
	if len(s.lags) == 0 {
		return "-"
	}
	return fmt.Sprintf("%+d", s.lags[len(s.lags)/2])
}

func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(part)/float64(whole))
}

func (w wanted) verdict(s score, bads int) string {
	if w.falseAlarms {
		return fmt.Sprintf("%s: %v in no good run: %d", met(s.fired[good] == 0), w.level, s.fired[good])
	}
	precision, recall := 1.0, 1.0
	if s.all() > 0 {
		precision = float64(s.fired[bad]) / float64(s.all())
	}
	if bads > 0 {
		recall = float64(s.fired[bad]) / float64(bads)
	}
	return fmt.Sprintf("%s: %v with precision of at least %.2f and recall of at least %.2f: %.2f and %.2f",
		met(precision >= w.precision && recall >= w.recall), w.level, w.precision, w.recall, precision, recall)
}

const notMet = "NOT MET"

func met(ok bool) string {
	if ok {
		return "met"
	}
	return notMet
}
