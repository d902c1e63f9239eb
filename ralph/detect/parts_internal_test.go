package detect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
)

// TestMessagesHaveWholeNumbers, and shares two decimals.
func TestMessagesHaveWholeNumbers(t *testing.T) {
	for _, c := range []struct {
		rule  Rule
		count float64
		tool  string
		want  string
	}{
		{RuleWall, 59.6, "", "The task has taken 60 seconds. "},
		{RuleIdle, 1e7, "", "Nothing has happened for 10000000 seconds. "},
		{RuleCost, 1.239, "", "The task has cost 1.24. "},
		{RuleConfidence, 0.1, "", "You are not sure enough of what you do (0.10). "},
		{RuleRepeat, 3, "bash", "You have called bash 3 times in a row "},
		{RuleRepeat, 3, "", "You have called a tool 3 times in a row "},
	} {
		if got := allRules.byRule[c.rule].text(c.count, c.tool); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestConditionsHaveWhatThereIs and no more.
func TestConditionsHaveWhatThereIs(t *testing.T) {
	at := time.Unix(1, 0)
	for _, c := range []struct {
		f    Finding
		more map[string]string
	}{
		{Finding{}, nil},
		{Finding{Evidence: []Event{{Index: 7}}}, map[string]string{"steps": "7"}},
		{Finding{Evidence: []Event{{Index: 7}, {Index: 18}}}, map[string]string{"steps": "7,18"}},
		{Finding{Agents: []string{"a"}}, map[string]string{"agents": "a"}},
		{Finding{Agents: []string{"a", "b"}}, map[string]string{"agents": "a,b"}},
	} {
		c.f.Rule, c.f.Level, c.f.Reason, c.f.Severity, c.f.Count, c.f.Threshold, c.f.Message, c.f.At = RuleRepeat, LevelTrip, ReasonStuck, condition.High, 3, 2, "m", at
		want := condition.Condition{Type: "repeat", Severity: condition.High, Message: "m", Threshold: 2, Value: 3, At: at, Metadata: map[string]string{"level": "trip", "reason": "stuck"}}
		maps.Copy(want.Metadata, c.more)
		if got := c.f.Condition(); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestWhatBothBeginOrEndWith is dropped, wherever it stands in the other.
func TestWhatBothBeginOrEndWith(t *testing.T) {
	for _, c := range []struct{ x, y, restX, restY []uint16 }{
		{[]uint16{1, 2, 3}, []uint16{1, 2, 4}, []uint16{3}, []uint16{4}},
		{[]uint16{1, 2, 3}, []uint16{8, 9, 1, 2, 4}, []uint16{3}, []uint16{4}},
		{[]uint16{8, 9, 7, 1, 2, 4}, []uint16{1, 2, 3}, []uint16{4}, []uint16{3}},
		{[]uint16{1, 2}, []uint16{3, 4}, []uint16{1, 2}, []uint16{3, 4}},
		{[]uint16{1, 2, 3}, []uint16{1, 9, 1, 2, 4}, []uint16{3}, []uint16{4}},
		{nil, []uint16{3, 4}, nil, []uint16{3, 4}},
	} {
		if x, y := follow(c.x, c.y); !slices.Equal(x, c.restX) || !slices.Equal(y, c.restY) {
			t.Errorf("of %v and %v, %v and %v follow", c.x, c.y, x, y)
		}
		for _, s := range [][]uint16{c.x, c.y, c.restX, c.restY} {
			slices.Reverse(s)
		}
		if x, y := precede(c.x, c.y); !slices.Equal(x, c.restX) || !slices.Equal(y, c.restY) {
			t.Errorf("of %v and %v, %v and %v precede", c.x, c.y, x, y)
		}
	}
}

// TestHexadecimalNumbers are ids from their first digit on, others are words.
func TestHexadecimalNumbers(t *testing.T) {
	if keyOf("sh", "at 0x1 now") != keyOf("sh", "at 0x2 now") || keyOf("sh", "at 0xa now") != keyOf("sh", "at 0xbc1 now") {
		t.Error("an id counts")
	}
	if keyOf("sh", "at 0xg1 now") == keyOf("sh", "at 0xg2 now") || keyOf("sh", "at 1x1 now") == keyOf("sh", "at 1x2 now") {
		t.Error("a word does not count")
	}
}

// TestUntrackedFilesThatCannotBeRead are errors, and those that have gone meanwhile are not.
func TestUntrackedFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	many := func(n int) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, "?? gone %d\x00", i)
		}
		return all.String()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		status string
		born   bool
		want   string
	}{
		"none":                      {t.Context(), "", true, ""},
		"read":                      {t.Context(), "?? file\x00", true, ""},
		"gone":                      {t.Context(), "?? gone\x00", true, ""},
		"below a file":              {t.Context(), "?? file/below\x00", true, "detect: reading an untracked file: "},
		"tracked":                   {t.Context(), " M file/below\x00", true, ""},
		"before the first":          {t.Context(), "A  file/below\x00", false, "detect: reading an untracked file: "},
		"as many as may be":         {t.Context(), many(10_000), true, ""},
		"too many":                  {t.Context(), many(10_001), true, "detect: there are more than 10000 untracked files in "},
		"without a waiter":          {ended, "?? file\x00", true, "detect: reading untracked files in "},
		"nothing, without a waiter": {ended, " M file\x00", true, ""},
	} {
		g := git{ctx: c.ctx, dir: dir, sum: sha256.New()}
		err := g.untracked(c.status, c.born)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if c.ctx == ended && c.want != "" && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLargeUntrackedFiles: up to 1 MiB all of one counts, beyond both ends and the size.
func TestLargeUntrackedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	sum := func(size int, other ...int) string {
		data := make([]byte, size)
		for _, at := range other {
			data[at] = 1
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		g := git{ctx: t.Context(), sum: sha256.New()}
		if err := g.file(path); err != nil {
			t.Fatal(err)
		}
		return string(g.sum.Sum(nil))
	}
	const mib = 1 << 20
	for _, c := range []struct {
		size, at int
		counts   bool
	}{
		{mib, 0, true},
		{mib, mib / 2, true},
		{mib, mib - 1, true},
		{mib + 1, 0, true},
		{mib + 1, mib/2 - 1, true},
		{mib + 1, mib / 2, false},
		{mib + 1, mib/2 + 1, true},
		{mib + 1, mib, true},
		{2 * mib, mib/2 - 1, true},
		{2 * mib, mib / 2, false},
		{2 * mib, 3*mib/2 - 1, false},
		{2 * mib, 3 * mib / 2, true},
	} {
		if got := sum(c.size) != sum(c.size, c.at); got != c.counts {
			t.Errorf("of %d bytes, byte %d counts: %t", c.size, c.at, got)
		}
	}
	if sum(2*mib) == sum(2*mib+1) {
		t.Error("the size does not count")
	}
	_ = os.Remove(path)
	link := func(to string) string {
		_ = os.Remove(path)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		g := git{ctx: t.Context(), sum: sha256.New()}
		if err := g.file(path); err != nil {
			t.Fatal(err)
		}
		return string(g.sum.Sum(nil))
	}
	if link("aa") == link("bb") {
		t.Error("where a link leads does not count")
	}
}

// TestTableHasEveryRule: each once, and each field of Rules that holds limits with
// exactly one of them.
func TestTableHasEveryRule(t *testing.T) {
	fields := map[string]int{}
	for rule := Rule(1); rule < numRules; rule++ {
		d := allRules.byRule[rule]
		if d == nil || d.name == "" || d.reason == 0 || d.message == "" {
			t.Fatalf("rule %d is not defined: %+v", rule, d)
		}
		for _, l := range d.limits {
			fields[l.field]++
			var r Rules
			*l.of(&r) = Limits{Nudge: 7, Trip: 8}
			if got := reflect.ValueOf(r).FieldByName(l.field); !got.IsValid() || got.Interface() != (Limits{Nudge: 7, Trip: 8}) {
				t.Errorf("%v: %s is %v", rule, l.field, got)
			}
		}
	}
	if len(table) != numRules-1 {
		t.Errorf("%d rules are in the table, and there are %d", len(table), numRules-1)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Rules]()) {
		if want := f.Type == reflect.TypeFor[Limits](); want != (fields[f.Name] == 1) {
			t.Errorf("%s is in the table %d times", f.Name, fields[f.Name])
		}
	}
}
