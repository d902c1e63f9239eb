package main

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
)

// measured is all that a run has found out.
type measured struct {
	measurements

	heaps   map[string]weight
	updates []updated
	failed  failures
}

// report is the whole Markdown page; command is what wrote it.
func report(all measured, p plan, command string) string {
	var w strings.Builder
	m, heaps := all.measurements, all.heaps
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
gobreaker's default, more than five consecutive failures, and "switchgear default"
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
	failureTable(&w, all.failed, p.passes)
	targetTable(&w, all)
	timeTable(&w, m)
	allocTable(&w, m)
	floorTable(&w, m)
	listTable(&w, m, "Lookup of one of 10,000 names, parallel", "map", lookups())
	updateTable(&w, all.updates, p.updates)
	httpTables(&w, m)
	grpcTables(&w, m)
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

// failureTable is there only if rows failed.
func failureTable(w *strings.Builder, failed failures, passes int) {
	if len(failed) == 0 {
		return
	}
	w.WriteString("\n## Rows that failed\n\nTheir breaker did not do what the row is about. Their other passes, and all other rows, are below.\n\n")
	row(w, "row", "passes", "first error")
	rule(w, "lrl")
	for _, f := range failed {
		row(w, f.row.String(), fmt.Sprintf("%d of %d, first in pass %d", len(f.passes), passes, f.passes[0]), oneCell(f.err.Error()))
	}
}

// oneCell is the first line of a text, without what would end a table's cell.
func oneCell(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return strings.ReplaceAll(text, "|", "\\|")
}

func targetTable(w *strings.Builder, all measured) {
	m, heaps := all.measurements, all.heaps
	w.WriteString("\n## Targets\n\nRatios and differences are taken inside each pass; the median over the passes counts, beside it the middle half.\n\n")
	row(w, "path", "compared", "target", "measured", "middle half", "")
	rule(w, "llrrrl")
	for _, t := range append(targets(), updateTargets(all.updates)...) {
		s, met, err := t.met(m, heaps)
		if err != nil {
			row(w, t.path, t.what, amount(t.limit, t.unit), "–", "–", "**"+err.Error()+"**")
			continue
		}
		verdict, half := "met", "–"
		if !met {
			verdict = "**NOT MET**"
		}
		if s.low != s.high {
			half = number(s.low) + " to " + number(s.high)
		}
		row(w, t.path, t.what, "≤ "+amount(t.limit, t.unit), amount(s.median, t.unit), half, verdict)
	}
}

func timeTable(w *strings.Builder, m measurements) {
	w.WriteString("\n## Time of a call, ns\n\nA dash: no sample, or none that counts; long windows are there for their size, serial only.\n\n")
	perScenario(w, m, median)
}

func allocTable(w *strings.Builder, m measurements) {
	w.WriteString("\n## Allocations of a call and their bytes\n\n")
	perScenario(w, m, allocs)
}

// perScenario writes a table of breakers by scenarios.
func perScenario(w *strings.Builder, m measurements, cell cell) {
	g := grid{head: []string{"breaker"}}
	for _, sc := range scenarios() {
		g.column(sc.name, sc.title)
	}
	for _, s := range subjects() {
		g.rows = append(g.rows, s.name)
	}
	g.write(w, m, cell)
}

// perExchange writes a table of clients by exchanges.
func perExchange(w *strings.Builder, m measurements, cell cell) {
	g := grid{head: []string{"RoundTripper"}}
	for _, e := range exchanges() {
		g.column(e.name, e.title)
	}
	for _, c := range clients() {
		g.rows = append(g.rows, c.name)
	}
	g.write(w, m, cell)
}

// grid is a table of subjects by scenarios.
type grid struct {
	head      []string
	scenarios []string
	rows      []string
}

type cell func(measurements, key) string

func (g *grid) column(scenario, title string) {
	g.scenarios, g.head = append(g.scenarios, scenario), append(g.head, title)
}

func (g *grid) write(w *strings.Builder, m measurements, cell cell) {
	row(w, g.head...)
	rule(w, "l"+strings.Repeat("r", len(g.scenarios)))
	for _, subject := range g.rows {
		cells := []string{subject}
		for _, s := range g.scenarios {
			cells = append(cells, cell(m, key{s, subject}))
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
}

// listTable is of benchmarks that have one scenario.
func listTable(w *strings.Builder, m measurements, title, subject string, list []bench) {
	w.WriteString("\n## " + title + "\n\n")
	row(w, subject, "ns", "allocations, bytes")
	rule(w, "lrr")
	for _, b := range list {
		row(w, b.subject, median(m, b.key()), allocs(m, b.key()))
	}
}

func httpTables(w *strings.Builder, m measurements) {
	fmt.Fprintf(w, `
## RoundTrippers: time of a call, ns

All have their library's defaults. "switchgear roundtrip" has a breaker for each
host and goes by the status too; failsafehttp's one breaker counts errors only;
gobreaker has no RoundTripper, so this is one written around Execute, with one
breaker, to which 5xx is a failure. Otelhttp has the default providers, which are
no-op: neither a span nor a metric is kept. Go-retryablehttp does not log, as it
would by default. These two have no breaker: they refuse nothing.

Without "loopback" the call goes to a transport that does nothing. Its response
has http.NoBody, which switchgear leaves as it is, or a body of %d bytes, which it
wraps, to see how it ends; failsafehttp and otelhttp wrap both, the others
neither. Every call reads the body to its end and closes it. Over loopback each
has a new request, and the server is in the same process: its time and its
allocations are in the numbers. Parallel is %d goroutines in all.

`, bodySize, perCore*runtime.GOMAXPROCS(0))
	perExchange(w, m, median)
	w.WriteString("\n## RoundTrippers: time divided by that of failsafehttp\n\nIn each pass; the median over the passes.\n\n")
	perExchange(w, m, relativeTo(clientFailsafe))
	w.WriteString("\n## RoundTrippers: allocations of a call and their bytes\n\n")
	perExchange(w, m, allocs)
	listTable(w, m, "Handler that sends a status, serial", "handler", handlers())
}

func updateTable(w *strings.Builder, all []updated, u updates) {
	fmt.Fprintf(w, `
## Update of a registry of %d breakers

A new name comes each millisecond while it runs, and one goroutine looks up a name
that is known. "Undisturbed" is the slowest lookup in as long a time without an
Update: what the scheduler and the machine's other work do to one.

`, u.breakers)
	row(w, "Update, ms", "new names", "slowest lookup, ms", "undisturbed, ms", "")
	rule(w, "rrrrl")
	for _, r := range all {
		verdict := ""
		if r.err != nil {
			verdict = "**" + oneCell(r.err.Error()) + "**"
		}
		row(w, number(milliseconds(r.took)), strconv.Itoa(r.names), number(milliseconds(r.slowest)), number(milliseconds(r.undisturbed)), verdict)
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

// relativeTo is a cell that is divided by another subject's.
func relativeTo(subject string) cell {
	return func(m measurements, k key) string {
		return middle(m.paired(k, key{k.scenario, subject}, quotient))
	}
}

func median(m measurements, k key) string { return middle(m.ns(k)) }

func middle(v []float64) string {
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
