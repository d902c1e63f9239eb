// Package enum reads constants back from the names that they are written as.
package enum

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// Parse sets *v to the constant between first and last whose String is text, or to
// the value without a name, "State(9)", for which text was written. For any other text
// it changes nothing and returns a [*core.ConfigError] of the field kind, the name of
// the type, with the text, what is allowed and which of it is nearest.
func Parse[T interface {
	~uint8
	fmt.Stringer
}](v *T, text []byte, first, last T, kind string,
) error {
	if v == nil {
		return fmt.Errorf("%s cannot be read into a nil %T", kind, v)
	}
	var names []string
	for i := range 256 {
		named := T(i) >= first && T(i) <= last
		name := T(i).String()
		if string(text) == name && (named || strings.HasPrefix(name, kind+"(")) {
			*v = T(i)
			return nil
		}
		if named {
			names = append(names, name)
		}
	}
	return &core.ConfigError{Field: kind, Value: string(text), Allowed: strings.Join(names, ", ") + nearest(string(text), names)}
}

// nearest returns "; did you mean …?" if one of names is close to text, else nothing.
func nearest(text string, names []string) string {
	const longest = 64 // the distance costs the product of the lengths
	if len(text) > longest {
		return ""
	}
	word := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(text)))
	best, least := "", max(2, len(word)/3)+1
	for _, name := range names {
		if d := distance(word, name); d < least && d < len(word) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(best) + "?"
}

// distance is how many bytes have to be changed, added, removed or swapped with the
// next one to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range len(b) {
		rows[0][j+1] = j + 1
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			changed := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			d := min(changed, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
