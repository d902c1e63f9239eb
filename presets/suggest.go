package presets

import (
	"strconv"

	"github.com/agnivade/levenshtein"
)

// didYouMean returns "; did you mean …?" if one of the known words is close to
// word, else nothing.
func didYouMean(word string, known []string) string {
	const longest = 64 // the distance costs the product of the lengths
	if len(word) > longest {
		return ""
	}
	best, nearest := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < nearest {
			best, nearest = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(best) + "?"
}
