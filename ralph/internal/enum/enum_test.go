package enum

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
)

type fruit uint8

func (f fruit) String() string {
	if int(f) < 4 {
		return [...]string{"apple", "pear", "passion_fruit", "fig"}[f]
	}
	return "fruit(" + strconv.Itoa(int(f)) + ")"
}

func TestParse(t *testing.T) {
	for _, want := range []fruit{1, 2, 3} {
		var got fruit
		if err := Parse(&got, []byte(want.String()), 1, 3, "fruit"); err != nil || got != want {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	for text, want := range map[string]string{
		"paer":          `switchgear: fruit is "paer", allowed: pear, passion_fruit, fig; did you mean "pear"?`,
		"Pear":          `switchgear: fruit is "Pear", allowed: pear, passion_fruit, fig; did you mean "pear"?`,
		"Passion-Fruit": `did you mean "passion_fruit"?`,
		" fig\n":        `switchgear: fruit is " fig\n", allowed: pear, passion_fruit, fig; did you mean "fig"?`, //nolint:gocritic // the spaces are what is told
		"fg":            `did you mean "fig"?`,
		"passionfrut":   `did you mean "passion_fruit"?`,
		"apple":         `switchgear: fruit is "apple", allowed: pear, passion_fruit, fig`, // below first
		"":              `switchgear: fruit is "", allowed: pear, passion_fruit, fig`,
		"fruit(09)":     `switchgear: fruit is "fruit(09)", allowed: pear, passion_fruit, fig`,
		"fruit(256)":    `switchgear: fruit is "fruit(256)", allowed: pear, passion_fruit, fig`,
		"fruit(3)":      `switchgear: fruit is "fruit(3)", allowed: pear, passion_fruit, fig`,
		"quince":        `switchgear: fruit is "quince", allowed: pear, passion_fruit, fig`,
	} {
		got := fruit(3)
		err := Parse(&got, []byte(text), 1, 3, "fruit")
		if err == nil || !strings.HasSuffix(err.Error(), want) || got != 3 {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	if err := Parse((*fruit)(nil), []byte("fig"), 1, 3, "fruit"); err == nil || !strings.Contains(err.Error(), "nil *enum.fruit") {
		t.Errorf("into nil: %v", err)
	}
	var got fruit
	for _, want := range []fruit{4, 9, 255} { // without a name
		if err := Parse(&got, []byte(want.String()), 1, 3, "fruit"); err != nil || got != want {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	if _, ok := errors.AsType[*core.ConfigError](Parse(&got, []byte("plum"), 0, 255, "fruit")); !ok {
		t.Error("it is no ConfigError")
	}
	huge := strings.Repeat("pear", 1<<18)
	if err := Parse(&got, []byte(huge), 0, 3, "fruit"); err == nil || len(err.Error()) > 200 {
		t.Errorf("a huge text: %.300v", err)
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
