package enum

import (
	"strings"
	"testing"
)

type fruit uint8

var fruits = Names[fruit]{"fruit", []string{1: "pear", 2: "passion_fruit", 3: "fig"}}

func TestValuesAreReadAsTheyWereWritten(t *testing.T) {
	for i := range 256 {
		want, got := fruit(i), fruit(0)
		if allowed := fruits.Parse([]byte(fruits.String(want)), &got); allowed != "" || got != want {
			t.Errorf("%d is written as %q and read as %d, %s", want, fruits.String(want), got, allowed)
		}
	}
}

func TestOtherTextsChangeNothing(t *testing.T) {
	const all = "pear, passion_fruit, fig"
	for text, want := range map[string]string{
		"paer":                        all + `; did you mean "pear"?`,
		"Pear":                        all + `; did you mean "pear"?`,
		"Passion-Fruit":               all + `; did you mean "passion_fruit"?`,
		" fig\n":                      all + `; did you mean "fig"?`, //nolint:gocritic // the spaces are the fault
		"passionfrut":                 all + `; did you mean "passion_fruit"?`,
		"":                            all,
		"fruit(09)":                   all,
		"fruit(256)":                  all,
		"fruit(3)":                    all,
		"quince":                      all,
		strings.Repeat("pear", 1<<18): all,
	} {
		got := fruit(3)
		if allowed := fruits.Parse([]byte(text), &got); allowed != want || got != 3 {
			t.Errorf("%.80q sets %d and allows %q, want 3 and %q", text, got, allowed, want)
		}
	}
	if allowed := fruits.Parse([]byte("fig"), nil); !strings.Contains(allowed, "not nil") {
		t.Errorf("a nil pointer: %q", allowed)
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "bc", 1},
		{"abc", "xabc", 1},
		{"abc", "acb", 1}, // swapped
		{"ab", "ba", 1},
		{"kitten", "sitting", 3},
		{"a", "b", 1},
	} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("%q to %q: %d, want %d", row.a, row.b, got, row.want)
		}
	}
}
