package presets_test

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// marked returns a policy that can be told from every other one.
func marked(threshold int) presets.Policy {
	return presets.Policy{Config: core.Config{FailureThreshold: threshold}}
}

// numbered gives each name or pattern a policy of its own, numbered from 1.
func numbered(names ...string) *presets.Fleet {
	f := &presets.Fleet{Policies: make(map[string]presets.Policy)}
	for i, name := range names {
		f.Policies[name] = marked(i + 1)
	}
	return f
}

// chosen returns which of the names of numbered holds for a name; empty means the
// defaults.
func chosen(f *presets.Fleet, names []string, name string) string {
	i := f.Policy(name).FailureThreshold
	if i == 0 {
		return ""
	}
	return names[i-1]
}

func TestPatterns(t *testing.T) {
	for _, row := range []struct {
		pattern string
		yes, no []string
	}{
		{"a", []string{"a"}, []string{"", "aa", "A", "b"}},
		{"*", []string{"", "a", "*", "a/b:c", "日本"}, nil},
		{"a*", []string{"a", "ab", "a*", "a/b", "aa"}, []string{"", "b", "ba", "A"}},
		{"*a", []string{"a", "ba", "*a", "b/a", "aa"}, []string{"", "b", "ab"}},
		{"a*a", []string{"aa", "aba", "a*a", "aaa", "a/a"}, []string{"a", "ab", "ba", "aab"}},
		{"*a*", []string{"a", "ba", "ab", "bab"}, []string{"", "b", "A"}},
		{"a*b*c", []string{"abc", "axbyc", "abbc", "abcbc", "a/b:c"}, []string{"ac", "acb", "abcx", "xabc", "ab"}},
		{"*ab*ab*", []string{"abab", "ab-ab", "xababx", "aabbabb"}, []string{"ab", "aba", "abba"}},
		{"ab*ba", []string{"abba", "ab-ba"}, []string{"aba", "ab", "ba"}},
		{"db:eu/*", []string{"db:eu/", "db:eu/orders", "db:eu/a/b:c"}, []string{"db:eu", "db-eu/orders"}},
		{"*/orders", []string{"/orders", "eu/orders", "a/b/orders"}, []string{"orders", "eu/orders/"}},
		{"größe*", []string{"größe", "größer"}, []string{"gro", "grösse"}},
		{"*ö*", []string{"ö", "größe"}, []string{"o", "groe"}},
		{"a.c*", []string{"a.c", "a.cd"}, []string{"abc"}}, // no other character is special
		{"[ab]*?", []string{"[ab]?", "[ab]x?"}, []string{"a", "ax", "[ab]x"}},
		{`\*`, []string{`\`, `\*`, `\a`}, []string{"*"}},
	} {
		f := numbered(row.pattern)
		for _, name := range row.yes {
			if chosen(f, []string{row.pattern}, name) == "" {
				t.Errorf("%q does not match %q", row.pattern, name)
			}
		}
		for _, name := range row.no {
			if chosen(f, []string{row.pattern}, name) != "" {
				t.Errorf("%q matches %q", row.pattern, name)
			}
		}
	}
}

// The name itself comes first, then the pattern with the most characters that
// are not *, then the one first in byte order; never the order of the file.
func TestPrecedence(t *testing.T) {
	for _, row := range []struct {
		names []string
		name  string
		want  string
	}{
		{[]string{"payments-eu", "payments-*", "*"}, "payments-eu", "payments-eu"},
		{[]string{"payments-eu", "payments-*", "*"}, "payments-us", "payments-*"},
		{[]string{"payments-eu", "payments-*", "*"}, "search", "*"},
		{[]string{"payments-eu", "payments-*"}, "search", ""},
		{[]string{"a*", "ab*"}, "abc", "ab*"},
		{[]string{"a*", "*bc"}, "abc", "*bc"},
		{[]string{"a*", "*c"}, "abc", "*c"},          // * comes before a
		{[]string{"b*d", "*bd", "bd*"}, "bd", "*bd"}, // the same number of characters
		{[]string{"b*d", "bd*"}, "bd", "b*d"},        // * comes before d
		{[]string{"a*b*c", "a*c"}, "abc", "a*b*c"},   // stars do not count
		{[]string{"ö*", "*bc"}, "öbc", "*bc"},        // two bytes against two, and * is first
		{[]string{"ö*", "*c"}, "öbc", "ö*"},          // characters are bytes
		{[]string{"a", "*"}, "a", "a"},               // the name itself, however short
		{[]string{"a*", "a*b"}, "a*", "a*"},          // a name that is the pattern
		{[]string{"a*", "a*b"}, "a*b", "a*b"},        // another
		{[]string{"*", "a*"}, "*", "*"},              // and another
		{[]string{"db:*", "db:eu/*"}, "db:eu/orders", "db:eu/*"},
		{nil, "a", ""},
	} {
		if got := chosen(numbered(row.names...), row.names, row.name); got != row.want {
			t.Errorf("of %q for %q %q is chosen, want %q", row.names, row.name, got, row.want)
		}
	}
}

// matchesNaively tries every length for every star.
func matchesNaively(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] != '*' {
		return name != "" && pattern[0] == name[0] && matchesNaively(pattern[1:], name[1:])
	}
	for i := range len(name) + 1 {
		if matchesNaively(pattern[1:], name[i:]) {
			return true
		}
	}
	return false
}

// chooseNaively is the precedence as it is documented.
func chooseNaively(names []string, name string) string {
	if slices.Contains(names, name) {
		return name
	}
	fits := slices.DeleteFunc(slices.Sorted(slices.Values(names)), func(p string) bool {
		return !strings.Contains(p, "*") || !matchesNaively(p, name)
	})
	if len(fits) == 0 {
		return ""
	}
	return slices.MaxFunc(fits, func(a, b string) int { // of equal ones the first
		bytes := len(strings.ReplaceAll(a, "*", "")) - len(strings.ReplaceAll(b, "*", ""))
		return cmp.Or(bytes, strings.Count(b, "*")-strings.Count(a, "*"))
	})
}

func TestPatternsMatchTheReference(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab/:é")), 0, 8, -1)
	pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab/:é***")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.OneOf(pattern, text), 0, 6, rapid.ID).Draw(t, "names")
		f := numbered(names...)
		name := rapid.OneOf(text, pattern).Draw(t, "name")
		if got, want := chosen(f, names, name), chooseNaively(names, name); got != want {
			t.Fatalf("of %q for %q %q is chosen, want %q", names, name, got, want)
		}
	})
}

// Patterns with which a search back and forth would not end in a lifetime.
func TestPatternsDoNotSearchBackAndForth(t *testing.T) {
	stars := strings.Repeat("*a", 127) + "*b"
	f := numbered(stars, strings.Repeat("a*", 127)+"b", "*"+strings.Repeat("ab*", 80)+"c")
	if p := f.Policy(strings.Repeat("a", 256)); p.FailureThreshold != 0 {
		t.Fatalf("%+v was chosen, want the defaults", p)
	}
	if p := f.Policy(strings.Repeat("a", 255) + "b"); p.FailureThreshold == 0 {
		t.Error("the pattern does not match what it should")
	}
}

func TestFleetZeroAndNil(t *testing.T) {
	var none *presets.Fleet
	if got := none.Policy("a"); !same(got, presets.Moderate()) {
		t.Errorf("the policy of a nil Fleet is %s, want the moderate one", shownPolicy(got))
	}
	if err := none.Validate(); err != nil {
		t.Errorf("a nil Fleet is not valid: %v", err)
	}
	var zero presets.Fleet
	if got := zero.Policy("a"); !same(got, presets.Policy{}) {
		t.Errorf("the policy of the zero Fleet is %s, want the zero one", shownPolicy(got))
	}
	if err := zero.Validate(); err != nil {
		t.Errorf("the zero Fleet is not valid: %v", err)
	}
}

// A caller's changes to its policy stay with the caller.
func TestFleetPolicyIsTheCallers(t *testing.T) {
	health := &core.HealthLimits{SuccessRate: 0.5}
	f := &presets.Fleet{
		Defaults: presets.Policy{Config: core.Config{Health: health}},
		Policies: map[string]presets.Policy{"a": {Config: core.Config{Health: health}}, "b*": {Config: core.Config{Health: health}}},
	}
	for _, name := range []string{"a", "b", "c"} {
		p := f.Policy(name)
		p.Health.SuccessRate = 0.25
		if got := f.Policy(name).Health.SuccessRate; got != 0.5 {
			t.Errorf("the policy of %q was changed: %v, want 0.5", name, got)
		}
	}
}

func TestFleetValidate(t *testing.T) {
	long := strings.Repeat("x", 257)
	f := presets.Fleet{
		Registry: presets.Limits{Max: -1},
		Defaults: presets.Policy{Config: core.Config{Timeout: -1}},
		Policies: map[string]presets.Policy{
			"":          {},
			"a\n":       {},
			"\xff":      {},
			"a\n*":      {},
			"b**":       {},
			"c*":        {},
			"c**":       {},
			long:        {},
			long + "*":  {},
			"d":         {Preset: "moderat", Retry: presets.Retry{Attempts: 5}},
			"e-*":       {HealthCheckInterval: 1, Config: core.Config{Jitter: 2}},
			"fine":      presets.Moderate(),
			"fine-*":    presets.Database(),
			"*":         {},
			"*fine":     {},
			long[1:]:    {},
			"fi*" + "*": {}, // hidden by none, and still not as plain as can be
		},
	}
	err := f.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	want := map[string]int{"Registry.Max": 1, "Timeout": 1, "name": 4, "pattern": 5, "Preset": 1, "Retry.Attempts": 1, "HealthCheckInterval": 1, "Jitter": 1}
	got := make(map[string]int)
	var collect func(err error)
	collect = func(err error) {
		switch e := err.(type) {
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				collect(one)
			}
		case *core.ConfigError:
			got[e.Field]++
		default:
			inner := errors.Unwrap(err)
			if inner == nil {
				t.Errorf("%T %v, want a ConfigError within", err, err)
				return
			}
			collect(inner)
		}
	}
	collect(err)
	if !maps.Equal(got, want) {
		t.Errorf("faults are %v, want %v: %v", got, want, err)
	}
	for _, part := range []string{`defaults: `, `the policy of "d": `, `the policy of "e-*": `} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want %q in it", err, part)
		}
	}
	if again := f.Validate(); again == nil || again.Error() != err.Error() {
		t.Errorf("a second time it says %v", again)
	}
}

// Of two patterns neither may be in vain because of the other.
func TestPatternsAreNotInVain(t *testing.T) {
	f := &presets.Fleet{Policies: map[string]presets.Policy{
		"billing-*":  {Config: core.Config{FailureThreshold: 1}},
		"*billing-*": {Config: core.Config{FailureThreshold: 2}},
	}}
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"billing-eu": 1, "billing-": 1, "old-billing-eu": 2} {
		if got := f.Policy(name).FailureThreshold; got != want {
			t.Errorf("%s has the policy %d, want %d", name, got, want)
		}
	}
}
