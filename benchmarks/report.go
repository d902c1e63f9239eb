package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// report is the whole Markdown page; command is what wrote it.
func report(m measurements, heaps map[string]weight, p plan, command string) string {
	var w strings.Builder
	w.WriteString("# Switchgear beside other breakers\n\n")
	fmt.Fprintf(&w, "Written by `%s` in the repository's root.\n\n", command)
	machine(&w)
	fmt.Fprintf(&w, `
Passes over all benchmarks: %d; a sample of %v of each in every pass. Times are
medians over the passes, in nanoseconds of wall time for one call; on a shared
machine take two of them closer than 1.3 times as equal, or closer than 1.6
times if they allocate. Parallel is %d goroutines for each core. %s

All are set alike, as far as they can be: half of at least %d calls failed, in a
window of %v or of %d calls; open for longer than a sample lasts. "in a row" is
gobreaker's default, more than five failures in a row, and "switchgear default"
is the zero Config: five in a row, beside an exact window of 100 calls. The
other exceptions are the libraries' own limits. Bytedance has 100 buckets,
go-zero a fixed 10 s of 40 buckets and factor 1.5, aegis a factor of 1 / 0.6 and
at least 100 calls; go-zero and aegis have no open state, refused is then what
they drop after nothing but failures. Hystrix-go has a fixed 10 s of one-second
buckets, 1,000 calls at once and a timeout of 60 s, and runs each call in a
goroutine; samples in which a busy machine made it refuse calls are left out
too. Eapache keeps no window and no statistics; any ten errors open it, so it has no
row with 1 %% of failures. "do", "execute", "run" and "call" call a function and
survive its panic; "permit", "two-step", "panel" and aegis only ask and report.
`, p.passes, p.length, perCore, waiting(m, p), minimum, window, calls)
	targetTable(&w, m, heaps)
	timeTable(&w, m)
	allocTable(&w, m)
	floorTable(&w, m)
	heapTable(&w, heaps)
	return w.String()
}

// waiting says what became of samples that were held up.
func waiting(m measurements, p plan) string {
	if math.IsInf(p.wait, 1) {
		return "Samples\nwere kept however long they waited for a core: the times mean nothing."
	}
	return fmt.Sprintf("Samples\nthat waited for a core, because of other work, for more than %.3g %% of their\n"+
		"time were taken again; in the end %d of %d were left out.", 100*p.wait, m.leftOut(), len(m)*p.passes)
}

func targetTable(w *strings.Builder, m measurements, heaps map[string]weight) {
	w.WriteString("\n## Targets\n\nRatios and differences are taken inside each pass; the median over the passes counts, beside it the middle half.\n\n")
	row(w, "path", "compared", "target", "measured", "middle half", "")
	rule(w, "llrrrl")
	for _, t := range targets() {
		s, met, err := t.met(m, heaps)
		if err != nil {
			row(w, t.path, t.what, amount(t.limit, t.unit), "–", "–", "**"+err.Error()+"**")
			continue
		}
		verdict, middle := "met", "–"
		if !met {
			verdict = "**NOT MET**"
		}
		if s.low != s.high {
			middle = number(s.low) + " to " + number(s.high)
		}
		row(w, t.path, t.what, "≤ "+amount(t.limit, t.unit), amount(s.median, t.unit), middle, verdict)
	}
}

func timeTable(w *strings.Builder, m measurements) {
	w.WriteString("\n## Time of a call, ns\n\nA dash: no sample, or none that counts; long windows are there for their size, serial only.\n\n")
	perScenario(w, func(k key) string { return median(m, k) })
}

func allocTable(w *strings.Builder, m measurements) {
	w.WriteString("\n## Allocations of a call and their bytes\n\n")
	perScenario(w, func(k key) string { return allocs(m, k) })
}

// perScenario writes a table of breakers by scenarios.
func perScenario(w *strings.Builder, cell func(key) string) {
	columns := scenarios()
	head := []string{"breaker"}
	for _, c := range columns {
		head = append(head, c.title)
	}
	row(w, head...)
	rule(w, "l"+strings.Repeat("r", len(columns)))
	for _, s := range subjects() {
		cells := []string{s.name}
		for _, c := range columns {
			cells = append(cells, cell(key{c.name, s.name}))
		}
		row(w, cells...)
	}
}

func floorTable(w *strings.Builder, m measurements) {
	w.WriteString("\n## Floors\n\n")
	row(w, "floor", "serial, ns", "parallel, ns", "allocations, bytes")
	rule(w, "lrrr")
	for _, f := range floors() {
		serial := key{floorSerial, f.name}
		row(w, f.name, median(m, serial), median(m, key{floorParallel, f.name}), allocs(m, serial))
	}
	w.WriteString("\n## Lookup of one of 10,000 names, parallel\n\n")
	row(w, "map", "ns", "allocations, bytes")
	rule(w, "lrr")
	for _, b := range lookups() {
		row(w, b.subject, median(m, b.key()), allocs(m, b.key()))
	}
}

func heapTable(w *strings.Builder, heaps map[string]weight) {
	fmt.Fprintf(w, "\n## Heap of one breaker, bytes\n\nThe difference of the live heap over so many instances, collected three times before each reading.\n\n")
	row(w, "breaker", "never called", fmt.Sprintf("after %d successes", usedCalls), "instances")
	rule(w, "lrrr")
	for _, s := range subjects() {
		h := heaps[s.name]
		row(w, s.name, fmt.Sprintf("%.0f", h.fresh), fmt.Sprintf("%.0f", h.used), strconv.Itoa(h.instances))
	}
}

func median(m measurements, k key) string {
	v := m.ns(k)
	if len(v) == 0 {
		return "–"
	}
	return number(spreadOf(v).median)
}

func allocs(m measurements, k key) string {
	if len(m.valid(k)) == 0 {
		return "–"
	}
	n, bytes := m.allocs(k)
	return fmt.Sprintf("%d, %d", n, bytes)
}

func amount(v float64, unit string) string {
	switch unit {
	case "allocs", "B":
		return fmt.Sprintf("%.0f %s", v, unit)
	default:
		return number(v) + " " + unit
	}
}

// number writes three digits, which is more than the times are good for.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func row(w *strings.Builder, cells ...string) {
	w.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// rule ends a table's head. It has a letter for each column: l for words, r for
// numbers.
func rule(w *strings.Builder, columns string) {
	w.WriteString("|" + strings.NewReplacer("l", "---|", "r", "---:|").Replace(columns) + "\n")
}
