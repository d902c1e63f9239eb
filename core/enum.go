package core

import (
	"fmt"
	"strconv"
	"strings"
)

// enumName returns the name of v, or its type and number if it has none.
func enumName[T ~uint8](names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "core.") + "(" + strconv.Itoa(int(v)) + ")"
}

// enumRead sets v to the constant of a name, or to the number that enumName wrote
// for a value without one, so that whatever was written can be read.
func enumRead[T ~uint8](names []string, kind string, text []byte, v *T) error {
	for i, name := range names {
		if name != "" && name == string(text) {
			*v = T(i)
			return nil
		}
	}
	digits, ok := strings.CutPrefix(string(text), kind+"(")
	if n, err := strconv.ParseUint(strings.TrimSuffix(digits, ")"), 10, 8); ok && err == nil && enumName(names, T(n)) == string(text) {
		*v = T(n)
		return nil
	}
	known := make([]string, 0, len(names))
	for _, name := range names {
		if name != "" {
			known = append(known, strconv.Quote(name))
		}
	}
	return &ConfigError{Field: kind, Value: string(text), Allowed: strings.Join(known, ", ")}
}
