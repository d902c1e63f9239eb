package detect

import (
	"strings"
)

const maxName = 64 // bytes of a name that are kept

// clip is a copy of at most the first 64 bytes of name, as valid UTF-8 without
// control characters, so that it can be shown and does not hold on to a long text.
func clip(name string) string {
	const shown = maxName
	if len(name) > shown {
		name = name[:shown]
	}
	return strings.Clone(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "")))
}
