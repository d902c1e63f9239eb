package presets_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// settings is a section of every type that one may have.
type settings struct {
	Text     string              `json:"text"`
	Flag     bool                `json:"flag"`
	Number   int                 `json:"number,omitzero"`
	Share    float64             `json:"share"`
	Wait     time.Duration       `json:"wait"`
	Strategy presets.Strategy    `json:"strategy"`
	Inner    inner               `json:"inner"`
	Pointer  *inner              `json:"pointer"`
	List     []string            `json:"list"`
	Inners   []inner             `json:"inners"`
	Table    map[string]int      `json:"table"`
	Tables   map[string]inner    `json:"tables"`
	Names    map[string][]string `json:"names"`
	Hidden   string              `json:"-"`
	Untagged string
}

type inner struct {
	A int           `json:"a"`
	B time.Duration `json:"b"`
}

func TestSection(t *testing.T) {
	f, err := decode(`
ralph:
  text: some
  flag: true
  number: 0x10
  share: 1
  wait: 1m30s
  strategy: linear_backoff
  inner: {a: 1, b_ms: 5}
  pointer: {a: 2}
  list: [x, "5"]
  inners: [{a: 1}, {b: 2s}]
  table: {one: 1, two: 2}
  tables: {one: {a: 1}, two: {}}
  names: {a: [x], b: []}
export: {}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got settings
	found, err := f.Section("ralph", &got)
	want := settings{
		Text: "some", Flag: true, Number: 16, Share: 1, Wait: 90 * time.Second, Strategy: presets.StrategyLinear,
		Inner: inner{1, 5 * time.Millisecond}, Pointer: &inner{A: 2},
		List: []string{"x", "5"}, Inners: []inner{{A: 1}, {B: 2 * time.Second}},
		Table: map[string]int{"one": 1, "two": 2}, Tables: map[string]inner{"one": {A: 1}, "two": {}},
		Names: map[string][]string{"a": {"x"}, "b": {}},
	}
	if !found || err != nil || !same(got, want) {
		t.Errorf("Section gives %+v, %t, %v, want %+v", got, found, err, want)
	}
}

// Fields that a section does not give stay as they are: its defaults are there before.
func TestSectionLaysOverDefaults(t *testing.T) {
	f, err := decode(`ralph: {text: new, inner: {b: 1s}, pointer: {b: 2s}, list: [], table: {c: 3}}`)
	if err != nil {
		t.Fatal(err)
	}
	before := &inner{A: 7}
	got := settings{
		Text: "old", Number: 5, Inner: inner{A: 6}, Pointer: before, List: []string{"x"}, Table: map[string]int{"a": 1}, Hidden: "h", Untagged: "u",
	}
	found, err := f.Section("ralph", &got)
	want := settings{
		Text: "new", Number: 5, Inner: inner{B: time.Second}, Pointer: &inner{A: 7, B: 2 * time.Second},
		List: []string{}, Table: map[string]int{"c": 3}, Hidden: "h", Untagged: "u",
	}
	if !found || err != nil || !same(got, want) {
		t.Errorf("Section gives %+v, %t, %v, want %+v", got, found, err, want)
	}
	if *before != (inner{A: 7}) {
		t.Errorf("what the caller's pointer points to was changed: %+v", *before)
	}
}

func TestSectionThatIsNotThere(t *testing.T) {
	f, err := decode(`{export: {}}`)
	if err != nil {
		t.Fatal(err)
	}
	got := settings{Text: "old"}
	if found, err := f.Section("ralph", &got); found || err != nil || got.Text != "old" {
		t.Errorf("Section gives %+v, %t, %v, want what was there", got, found, err)
	}
	if found, err := f.Section("export", &got); !found || err != nil || got.Text != "old" {
		t.Errorf("an empty section gives %+v, %t, %v, want it found", got, found, err)
	}
	for _, f := range []*presets.Fleet{nil, {}} {
		if found, err := f.Section("export", &got); found || err != nil {
			t.Errorf("a Fleet without a file gives %t, %v", found, err)
		}
	}
	for _, name := range []string{"policies", "registry", "bogus", ""} {
		found, err := f.Section(name, &got)
		cause, ok := errors.AsType[*core.ConfigError](err)
		if found || !ok || cause.Field != "section" || !strings.Contains(cause.Allowed, "ralph, failsafe, export") {
			t.Errorf("%q gives %t, %v, want a ConfigError", name, found, err)
		}
	}
	for _, into := range []any{nil, settings{}, new(int), (*settings)(nil), map[string]any{}} {
		if found, err := f.Section("export", into); found || err == nil {
			t.Errorf("into %T gives %t, %v, want an error", into, found, err)
		}
	}
}

// Sections are read as strictly as the rest.
func TestSectionFaults(t *testing.T) {
	for _, row := range []struct {
		doc   string
		field string
		want  string
	}{
		{"export:\n  ‸texxt: x", "export.texxt", `is not a known field; did you mean "text"?`},
		{"export:\n  ‸bogus: x", "export.bogus", "is not a known field"},
		{"export:\n  ‸Untagged: x", "export.Untagged", "is not a known field"},
		{"export:\n  ‸Hidden: x", "export.Hidden", "is not a known field"},
		{"export:\n  text: ‸5", "export.text", "must be text"},
		{"export:\n  flag: ‸x", "export.flag", "must be true or false"},
		{"export:\n  number: ‸1.5", "export.number", "must be a whole number"},
		{"export:\n  share: ‸x", "export.share", "must be a number"},
		{"export:\n  wait: ‸x", "export.wait", "must be a duration"},
		{"export:\n  wait_ms: ‸x", "export.wait_ms", "must be a whole number of milliseconds"},
		{"export:\n  wait: ‸~", "export.wait", "must be a duration such as 500ms, 60s or 1h30m, and is empty"},
		{"export:\n  strategy: ‸x", "export.strategy", "is not one of the values that are allowed"},
		{"export:\n  inner: ‸5", "export.inner", "must have fields"},
		{"export:\n  inner: {‸c: 5}", "export.inner.c", "is not a known field"},
		{"export:\n  pointer: ‸[]", "export.pointer", "must have fields"},
		{"export:\n  list: ‸x", "export.list", "must be a list"},
		{"export:\n  list: [x, ‸5]", "export.list[1]", "must be text"},
		{"export:\n  inners: [{a: 1}, {‸x: 1}]", "export.inners[1].x", "is not a known field"},
		{"export:\n  inners: [‸5]", "export.inners[0]", "must have fields"},
		{"export:\n  table: ‸[]", "export.table", "must have fields"},
		{"export:\n  table: {a: ‸x}", "export.table.a", "must be a whole number"},
		{"export:\n  table: {a: 1, ‸a: 2}", "export.table.a", "is given twice; the first is in line 2"},
		{"export:\n  tables: {a: {‸x: 1}}", "export.tables.a.x", "is not a known field"},
		{"export:\n  names: {a: [‸1]}", "export.names.a[0]", "must be text"},
		{"export:\n  text: x\n  ‸text: x", "export.text", "is given twice; the first is in line 2"},
		{"export:\n  wait: 1s\n  ‸wait_ms: 1000", "export.wait_ms", "is given twice; the first, by another name, is in line 2"},
		{"export:\n  inner: {b: 1s, ‸b_ms: 1000}", "export.inner.b_ms", "is given twice"},
		{"export:\n  inners: [{b: 1s, ‸b_ms: 1000}]", "export.inners[0].b_ms", "is given twice"},
		{"export:\n  tables: {a: {b: 1s, ‸b_ms: 1000}}", "export.tables.a.b_ms", "is given twice"},
	} {
		doc, places := bad{doc: row.doc}.placed()
		path := fileOf(t, doc)
		f, err := presets.Load(path)
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		var got settings
		found, err := f.Section("export", &got)
		fault, ok := errors.AsType[*presets.FileError](err)
		if !found || !ok {
			t.Errorf("%s: %t, %v, want a FileError", doc, found, err)
			continue
		}
		if fault.File != path || fault.Line != places[0][0] || fault.Column != places[0][1] || fault.Field != row.field || !strings.Contains(fault.Problem, row.want) {
			t.Errorf("%s: %v, want %v: %s %s", doc, fault, places[0], row.field, row.want)
		}
	}
}

// Values may be secret: whatever their type, and whatever is wrong with them, no
// error quotes them.
func TestSectionKeepsSecrets(t *testing.T) {
	const secret = "5417264"
	for _, value := range []string{secret, `"` + secret + `"`, "x" + secret, secret + ".5", "-" + secret, "[" + secret + "]", "{k: " + secret + "}", "!foo " + secret, "|\n    " + secret} {
		for _, field := range slices.Sorted(maps.Keys(map[string]bool{
			"text": true, "flag": true, "number": true, "share": true, "wait": true, "wait_ms": true, "strategy": true, "inner": true, "pointer": true,
			"list": true, "inners": true, "table": true, "tables": true, "names": true, "when": true,
		})) {
			f, err := decode("export:\n  " + field + ": " + value + "\n")
			if err != nil {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %s: %v", field, value, err)
				}
				continue
			}
			var got struct {
				settings
				When time.Time `json:"when"`
			}
			if _, err := f.Section("export", &got); err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %s: %v", field, value, err)
			}
		}
	}
}

// A type that no file can fill is an error, and no panic.
func TestSectionOfOtherTypes(t *testing.T) {
	f, err := decode(`export: {value: 5}`)
	if err != nil {
		t.Fatal(err)
	}
	type of[T any] struct {
		Value T `json:"value"`
	}
	for _, into := range []any{
		new(of[*int]), new(of[*bool]), new(of[*string]), new(of[*time.Duration]), new(of[**inner]), new(of[any]), new(of[func()]), new(of[chan int]),
		new(of[complex128]), new(of[uint8]), new(of[[2]int]), new(of[json.RawMessage]), new(of[map[int]int]), new(of[error]),
	} {
		func() {
			defer func() {
				if v := recover(); v != nil {
					t.Errorf("%T: panic: %v", into, v)
				}
			}()
			if found, err := f.Section("export", into); !found {
				t.Errorf("%T: %t, %v, want it found", into, found, err)
			}
		}()
	}
}

// More than twenty faults of a section are cut, too.
func TestSectionTellsTwentyFaults(t *testing.T) {
	var b strings.Builder
	b.WriteString("ralph:\n")
	for range 30 {
		b.WriteString("  x" + strings.Repeat("y", b.Len()/10) + ": 1\n")
	}
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := presets.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var got settings
	_, err = f.Section("ralph", &got)
	if faults := faultsOfFile(t, err); len(faults) != 21 || faults[20].Problem != "there are more faults" || faults[20].File != path {
		t.Errorf("%d faults are told, want 20 and that there are more: %v", len(faults), err)
	}
}
