package presets_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/presets"
)

const (
	maxMemory = 64 << 20
	maxMade   = 1_000_000
	maxLength = 1 << 20 // of a document
)

// cost is what a document took: the bytes that were allocated, which is more than
// were in use at any time, and in how many pieces. How long it takes is up to the
// machine, and is not judged.
type cost struct{ bytes, pieces uint64 }

// measured decodes a document and returns what that took.
func measured(doc string) (*presets.Fleet, cost, error) {
	r := strings.NewReader(doc)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := presets.Decode(r)
	runtime.ReadMemStats(&after)
	return f, cost{after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs}, err
}

// tooMuch tells by how much a document goes beyond what any may take. The race
// detector takes more for itself.
func (c cost) tooMuch() string {
	switch {
	case raceDetector:
	case c.bytes > maxMemory:
		return fmt.Sprintf("it allocated %d MiB, want at most %d", c.bytes>>20, maxMemory>>20)
	case c.pieces > maxMade:
		return fmt.Sprintf("it made %d allocations, want at most %d", c.pieces, maxMade)
	}
	return ""
}

// FuzzDecode: no document makes Decode panic or takes more than its share of
// memory, every fault is a FileError fit for a log, and what is accepted is
// valid and can be written and read again. Run it with
//
//	go test -run '^$' -fuzz '^FuzzDecode$' -fuzztime 1m -fuzzminimizetime 20x ./presets
func FuzzDecode(f *testing.F) {
	for _, row := range goodDocuments() {
		f.Add(row.doc)
	}
	for _, row := range badDocuments() {
		if doc, _ := row.placed(); len(doc) < 1<<16 {
			f.Add(doc)
		}
	}
	for _, row := range adversaries(1 << 13) {
		f.Add(row.doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		fleet, cost, err := measured(doc)
		if much := cost.tooMuch(); much != "" {
			t.Errorf("of %d bytes %s", len(doc), much)
		}
		if err != nil {
			checkFaultsOf(t, fleet, err)
			return
		}
		checkAccepted(t, fleet, len(doc) < 1<<12)
	})
}

func checkFaultsOf(t *testing.T, fleet *presets.Fleet, err error) {
	t.Helper()
	if fleet != nil {
		t.Errorf("a Fleet besides %v", err)
	}
	faults := faultsOfFile(t, err)
	if len(faults) > 21 {
		t.Errorf("%d faults, want at most 20 and that there are more", len(faults))
	}
	for _, fault := range faults {
		if text := fault.Error(); strings.ContainsFunc(text, isControl) || len(text) > 2000 {
			t.Errorf("not fit for a log: %.500q", text)
		}
		if fault.Line < 0 || fault.Column < 0 || fault.Line == 0 && fault.Column != 0 || fault.Problem == "" {
			t.Errorf("%+v: no place or problem", fault)
		}
	}
}

// checkAccepted: what Decode accepts is valid, and Encode writes it, unless it
// is large: the document may then be longer than Decode accepts.
func checkAccepted(t *testing.T, fleet *presets.Fleet, small bool) {
	t.Helper()
	if err := fleet.Validate(); err != nil {
		t.Fatalf("what is accepted is not valid: %v", err)
	}
	doc, err := encode(fleet)
	if err != nil && !small {
		return
	}
	if err != nil {
		t.Fatalf("what is accepted cannot be written: %v", err)
	}
	back, err := decode(doc)
	if err != nil {
		t.Fatalf("what is accepted cannot be read again: %v\n%s", err, doc[:min(len(doc), 1000)])
	}
	if !same(said(back), said(fleet)) {
		t.Fatalf("after Encode and Decode %s\n%s", differ(said(back), said(fleet)), doc)
	}
	if again, err := encode(back); err != nil || again != doc {
		t.Fatalf("the second time it is (%v)\n%q\nthe first time\n%q", err, again, doc)
	}
	for _, name := range []string{"", "a", "policies", strings.Repeat("a", 256)} {
		if p := fleet.Policy(name); p.Validate() != nil {
			t.Errorf("the policy of %q is not valid: %v", name, p.Validate())
		}
	}
	for _, section := range []string{"ralph", "failsafe", "export"} {
		var into settings
		if _, err := fleet.Section(section, &into); err != nil {
			if _, ok := errors.AsType[*presets.FileError](err); !ok {
				t.Errorf("%s: %T %v, want a FileError", section, err, err)
			}
		}
	}
}

type adversary struct{ name, doc string }

// adversaries are documents of about size bytes, made to take long or much:
// what can stand nearest to one another, everywhere it can stand, up to the
// number of values that is allowed and without regard to it.
func adversaries(size int) []adversary {
	var rows []adversary
	add := func(name, doc string) { rows = append(rows, adversary{name, doc[:min(len(doc), size)]}) }
	// fill repeats unit for as long as the document may be; few repeats it for as
	// many values as there may be, padded to the same length.
	const marks = ",:-?[{&*!"
	fill := func(before, unit, after string, padded bool) {
		name := fmt.Sprintf("%q%q%q", before, unit, after)
		add(name, before+strings.Repeat(unit, max(0, size-len(before)-len(after))/len(unit))+after)
		n := 0
		for _, c := range unit {
			if strings.ContainsRune(marks, c) {
				n++
			}
		}
		if n == 0 {
			return
		}
		times := 19_990 / n
		add("few "+name, before+strings.Repeat(unit, min(times, size/len(unit)))+after)
		pad := (size - len(before) - len(after)) / times
		if pad /= 2; padded && pad > len(unit) {
			add("few and lines "+name, before+strings.Repeat(unit+strings.Repeat("\n ", pad-len(unit)), times)+after)
			add("few and comments "+name, before+strings.Repeat(unit+strings.Repeat("#\n", pad-len(unit)), times)+after)
		}
	}
	for _, unit := range []string{
		"- ", "a,", "~,", "[", "{", "a:\n", "-\n", "? ", "#\n", "a:,", "&a a,", "\\n", "---\n", "!", "b\n ", "\n", "b ", "'", "''", `"`, "\t", "\r\n",
		"\u2028", "|\n", `\u0041`, "*a,", "{a,", "? a\n", "!!str ", "!<a> ", "a #b\n", "@", "\ufeff", "- #c\n", "a: {}\n", "\xff", "\x00", "'a' ", "? - : ",
		"'\n", ": ", "'#'\n", "[]\n", "a\n",
	} {
		fill("", unit, "", true)
		fill("policies: {", unit, "}", true)
		fill("ralph:\n ", unit, "", true)
		for _, around := range [][2]string{{"policies: [", "]"}, {`a: "`, `"`}, {"a: '", "'"}, {"a: ", ""}, {"a: |\n ", ""}, {"a: >\n ", ""}, {"# ", ""}, {"%", "\n---\n{}"}} {
			fill(around[0], unit, around[1], false)
		}
	}
	// lines repeats a line with a number in it, as often as there may be values.
	lines := func(name, before, line string, marksEach int) {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; i < 19_990/marksEach && b.Len()+len(line)+5 < size; i++ {
			fmt.Fprintf(&b, line+"\n", i)
		}
		add(name, b.String())
	}
	near := "failure_rate_threshold_slow_rate_threshold_window_siz_%06d"
	lines("fields that are not known", "", near+": 1", 1)
	lines("fields of defaults that are not known", "defaults:\n", "  "+near+": 1", 1)
	lines("fields of a retry that are not known", "defaults:\n  retry:\n", "    "+near+": 1", 1)
	lines("fields of the original's retry that are not known", "defaults:\n", "  retry_initial_delay_max_delay_multiplier_jitter_%06d: 1", 1)
	lines("policies of an unknown field each", "policies:\n", "  a%06d: {failure_rate_threshold_slow_rate_threshold_window_siz: 1}", 3)
	lines("policies of an unknown preset each", "policies:\n", "  a%06d: {preset: conservative_moderate_aggressive_critical_service_non_cr}", 3)
	lines("policies of an unknown strategy each", "policies:\n", "  a%06d: {retry_strategy: exponential_backoff_random_jitter_linear_backoff_f}", 3)
	lines("policies of nothing", "policies:\n", "  a%06d: {}", 2)
	lines("policies of a preset", "policies:\n", "  a%06d: {preset: database}", 3)
	lines("policies of health", "policies:\n", "  a%06d: {health: {}}", 4)
	lines("policies of every kind", "policies:\n", "  a%06d: {health: {}, retry: {}, window: {}}", 9)
	lines("policies that are none", "policies:\n", "  a%06d: 1", 1)
	lines("policies that are not there", "policies:\n", "  a%06d:", 1)
	lines("policies with long names", "policies:\n", "  "+strings.Repeat("a", 90)+"%06d: {}", 2)
	lines("policies with names that are too long", "policies:\n", "  "+strings.Repeat("a", 250)+"%07d: {}", 2)
	lines("patterns", "policies:\n", "  a%06d*: {}", 2)
	lines("patterns of many stars", "policies:\n", "  "+strings.Repeat("a*", 20)+"%06d: {}", 22)
	lines("patterns of two stars", "policies:\n", "  a%06d**: {}", 2)
	lines("values that are not allowed", "policies:\n", "  a%06d: {timeout: -1s}", 4)
	lines("values that are not allowed, inherited", "defaults: {timeout: -1s, jitter: 5}\npolicies:\n", "  a%06d: {}", 2)
	lines("durations without a unit", "policies:\n", "  a%06d: {timeout: 5}", 3)
	lines("names given twice", "policies:\n", "  a: {} #%06d", 2)
	lines("sections", "ralph:\n", "  a%06d: b", 1)
	add("a long name", "policies: {"+strings.Repeat("a", size-20)+": {}}")
	add("a long pattern", "policies: {"+strings.Repeat("a", size-20)+"*: {}}")
	add("a pattern of stars", `policies: {"`+strings.Repeat("*", min(19_000, size-20))+`": {}}`)
	add("a pattern of many stars", `policies: {"`+strings.Repeat("*a", min(19_000, size/2-20))+`": {}}`)
	add("a long preset", "defaults: {preset: "+strings.Repeat("a", size-30)+"}")
	add("a long strategy", "defaults: {retry_strategy: "+strings.Repeat("a", size-40)+"}")
	add("a long number", "defaults: {failure_threshold: "+strings.Repeat("9", size-40)+"}")
	add("a long fraction", "defaults: {jitter: 0."+strings.Repeat("9", size-40)+"}")
	add("a large exponent", "defaults: {jitter: 1e"+strings.Repeat("9", size-40)+"}")
	add("a long duration", "defaults: {timeout: "+strings.Repeat("1h", size/2-40)+"}")
	add("a long fraction of a duration", "defaults: {timeout: 0."+strings.Repeat("9", size-40)+"s}")
	add("a long tag", "defaults: !"+strings.Repeat("a", size-40)+" {}")
	add("escapes of a tag", "defaults: !"+strings.Repeat("%41", size/3-40)+" {}")
	add("a long binary", "export: {a: !!binary "+strings.Repeat("QUFB", size/4-40)+"}")
	var deep strings.Builder
	for i := 0; deep.Len()+i+4 < size; i++ {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	add("fields within fields", deep.String())
	add("lists within lists", "ralph:\n  a: "+strings.Repeat("- ", min(19_900, size/2-20)))
	add("keys within keys", "ralph:\n  "+strings.Repeat("? ", min(19_900, size/2-20)))
	add("brackets within brackets", "ralph: {a: "+strings.Repeat("[", min(9_900, size/2-20))+strings.Repeat("]", min(9_900, size/2-20))+"}")
	add("braces within braces", "ralph: "+strings.Repeat("{a: ", min(4_900, size/5-20))+strings.Repeat("}", min(4_900, size/5-20)))
	add("aliases of aliases", "ralph:\n  "+aliasBomb(20))
	add("an alias many times", "ralph:\n  a: &a ["+strings.Repeat("a,", 9_000)+"]\n  b: ["+strings.Repeat("*a,", 4_000)+"]")
	return rows
}

// No document, however it was made, takes more than 64 MiB, in a million pieces.
func TestDecodeIsBounded(t *testing.T) {
	size := maxLength
	if raceDetector || testing.Short() {
		size = 1 << 14
	}
	var largest, most struct {
		cost
		name string
	}
	for _, row := range adversaries(size) {
		f, cost, err := measured(row.doc)
		if much := cost.tooMuch(); much != "" {
			t.Errorf("%s (%d bytes): %s", row.name, len(row.doc), much)
		}
		if cost.bytes > largest.bytes {
			largest.cost, largest.name = cost, row.name
		}
		if cost.pieces > most.pieces {
			most.cost, most.name = cost, row.name
		}
		if err != nil {
			checkFaultsOf(t, f, err)
		} else if err := f.Validate(); err != nil {
			t.Errorf("%s: what is accepted is not valid: %v", row.name, err)
		}
	}
	t.Logf("the largest allocated %d MiB: %s; the most, %d pieces: %s", largest.bytes>>20, largest.name, most.pieces, most.name)
}
