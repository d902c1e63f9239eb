// Package enum writes and reads the constants of a type by name. It imports the
// standard library alone, so that core may use it.
package enum

import (
	"strconv"
	"strings"
)

// Names are the constants of a type T and their names.
type Names[T ~uint8] struct {
	Type string   // the type's name
	Of   []string // by constant; empty where there is none
}

// String returns the name of v, or its type and number if it has none, "State(9)".
func (n Names[T]) String(v T) string {
	if int(v) < len(n.Of) && n.Of[v] != "" {
		return n.Of[v]
	}
	return n.Type + "(" + strconv.Itoa(int(v)) + ")"
}

// Parse sets *v to the value for which String returns text, and returns "". For any
// other text, and a nil v, it changes nothing and returns what is allowed, with a
// guess at what was meant.
func (n Names[T]) Parse(text []byte, v *T) (allowed string) {
	if v == nil {
		return "any, but into a " + n.Type + " that is not nil"
	}
	for i, name := range n.Of {
		if name != "" && name == string(text) {
			*v = T(i)
			return ""
		}
	}
	digits := strings.TrimSuffix(strings.TrimPrefix(string(text), n.Type+"("), ")")
	if i, err := strconv.ParseUint(digits, 10, 8); err == nil && n.String(T(i)) == string(text) {
		*v = T(i)
		return ""
	}
	var known []string
	for _, name := range n.Of {
		if name != "" {
			known = append(known, name)
		}
	}
	return strings.Join(known, ", ") + Suggest(string(text), known)
}

// Suggest returns "; did you mean …?" if one of names is close to text, else "".
func Suggest(text string, names []string) string {
	const longest = 64 // the distance costs the product of the lengths
	if len(text) > longest {
		return ""
	}
	separators := strings.NewReplacer(" ", "_", "-", "_")
	word := separators.Replace(strings.ToLower(strings.TrimSpace(text)))
	best, least := "", max(2, len(word)/3)+1
	for _, name := range names {
		if d := distance(word, separators.Replace(name)); d < least && d < len(word) {
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
