package presets

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// didYouMean returns "; did you mean …?" if one of the known words is close to
// word, or is a part of it, or has it as a part; else nothing.
func didYouMean(word string, known []string) string {
	const longest = 64 // the distance costs the product of the lengths
	if len(word) > longest {
		return ""
	}
	if k := synonym(word); slices.Contains(known, k) {
		return "; did you mean " + strconv.Quote(k) + "?"
	}
	best, nearest := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(word, k); d < nearest {
			best, nearest = k, d
		}
	}
	if best == "" {
		best = ofSameWords(word, known)
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + strconv.Quote(best) + "?"
}

// synonym returns our word for one that other libraries use; empty if there is none.
// A name in camel case, as Go's, is the same in a file's way.
func synonym(word string) string {
	switch word {
	case "retries", "max_retries", "max_attempts":
		return "retry"
	case "max_failures", "failures", "consecutive_failures":
		return "failure_threshold"
	case "reset_timeout", "recovery_timeout", "sleep_window", "open_timeout":
		return "timeout"
	}
	return strings.ToLower(camel.ReplaceAllString(word, "${1}_${2}"))
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// ofSameWords returns the known name that differs least in length of those that begin
// or end with all words of name, or that name begins or ends with.
func ofSameWords(name string, known []string) (best string) {
	part := func(of, words string) bool {
		return len(words) >= 3 && (strings.HasPrefix(of, words+"_") || strings.HasSuffix(of, "_"+words))
	}
	least := math.MaxInt
	for _, k := range known {
		if d := len(k) - len(name); part(k, name) && d < least || part(name, k) && -d < least {
			best, least = k, max(d, -d)
		}
	}
	return best
}
