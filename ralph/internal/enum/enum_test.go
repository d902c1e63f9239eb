package enum

import (
	"strconv"
	"strings"
	"testing"
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
		if err := Parse(&got, []byte(want.String()), 1, 3, "test: fruit"); err != nil || got != want {
			t.Errorf("%v: %v, %v", want, got, err)
		}
	}
	for text, want := range map[string]string{
		"paer":          `test: fruit is "paer", allowed: pear, passion_fruit, fig; did you mean "pear"?`,
		"Pear":          `test: fruit is "Pear", allowed: pear, passion_fruit, fig; did you mean "pear"?`,
		"Passion-Fruit": `did you mean "passion_fruit"?`,
		" fig\n":        `test: fruit is " fig\n", allowed: pear, passion_fruit, fig; did you mean "fig"?`,
		"fg":            `did you mean "fig"?`,
		"passionfrut":   `did you mean "passion_fruit"?`,
		"apple":         `test: fruit is "apple", allowed: pear, passion_fruit, fig`, // below first
		"":              `test: fruit is "", allowed: pear, passion_fruit, fig`,
		"fruit(9)":      `test: fruit is "fruit(9)", allowed: pear, passion_fruit, fig`,
		"quince":        `test: fruit is "quince", allowed: pear, passion_fruit, fig`,
	} {
		got := fruit(3)
		err := Parse(&got, []byte(text), 1, 3, "test: fruit")
		if err == nil || !strings.HasSuffix(err.Error(), want) || got != 3 {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	if err := Parse((*fruit)(nil), []byte("fig"), 1, 3, "test: fruit"); err == nil || !strings.Contains(err.Error(), "nil *enum.fruit") {
		t.Errorf("into nil: %v", err)
	}
	var got fruit
	if err := Parse(&got, []byte("fruit(255)"), 0, 255, "test: fruit"); err != nil || got != 255 {
		t.Errorf("the last there can be: %v, %v", got, err)
	}
	huge := strings.Repeat("pear", 1<<18)
	if err := Parse(&got, []byte(huge), 0, 3, "test: fruit"); err == nil || len(err.Error()) > 200 {
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
