package detect

import (
	"strings"
)

const (
	maxJSON  = 8192 // longer arguments are not parsed but compared as text
	maxDepth = 64
)

// argsKey is a hash of arguments without what m says. It reports whether something was
// left out, and whether something with letters was not.
func argsKey(args string, m masking) (key uint64, masked, letters bool) {
	if len(args) <= maxJSON {
		c := canonical{s: args, m: m}
		if h, ok := c.document(); ok {
			return h, c.masked, c.letters
		}
	}
	t := text{h: seed}
	t.add(trimmed(args), m)
	return t.h, t.masked, t.letters
}

// trimmed is a text without the white space and the full stops around it, as far as there
// are no more than 64 at each end.
func trimmed(s string) string {
	const most = 64
	for n := 0; n < most && s != "" && (s[0] == ' ' || s[0] == '\n' || s[0] == '\t'); n++ {
		s = s[1:]
	}
	for n := 0; n < most && s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\n' || s[len(s)-1] == '\t' || s[len(s)-1] == '.'); n++ {
		s = s[:len(s)-1]
	}
	return s
}

// isAttempt reports whether a member of an object says how often something was tried: then
// its value counts for nothing.
func isAttempt(name string) bool {
	switch name {
	case "attempt", "attempts", "retry", "retries", "try", "tries", "retry_count", "attempt_number", "nonce", "request_id":
		return true
	}
	return false
}

// canonical hashes a JSON text so that neither the order of keys nor white space
// matters. Strings are compared as they are written, with their escapes, and
// numbers digit by digit.
type canonical struct {
	s               string
	i               int
	m               masking
	depth           int
	masked, letters bool
}

// document hashes the whole of s; ok is false if that is not JSON, or too deep.
func (c *canonical) document() (h uint64, ok bool) {
	h, ok = c.value()
	c.space()
	return h, ok && c.i == len(c.s)
}

func (c *canonical) value() (uint64, bool) {
	c.space()
	switch c.peek() {
	case '{':
		return c.nested('}', c.member)
	case '[':
		return c.nested(']', c.value)
	case '"':
		s, ok := c.quoted()
		s = trimmed(s)
		t := text{h: 's'}
		t.span(s, c.m)
		c.masked = c.masked || t.masked
		c.letters = c.letters || t.letters
		return t.h, ok
	}
	from := c.i
	for c.i < len(c.s) && (isWord(c.s[c.i]) || c.s[c.i] == '.' || c.s[c.i] == '-' || c.s[c.i] == '+') {
		c.i++
	}
	return mixText('n', c.s[from:c.i]), scalar(c.s[from:c.i])
}

// nested hashes what stands between brackets: members of an object in any order,
// as a sum, and elements of a list in theirs.
func (c *canonical) nested(end byte, item func() (uint64, bool)) (uint64, bool) {
	c.i++
	c.depth++
	defer func() { c.depth-- }()
	var sum, list, n uint64 = 0, seed, 0
	c.space()
	if c.peek() == end {
		c.i++
		return mix(uint64(end), 0), true
	}
	for c.depth <= maxDepth {
		h, ok := item()
		if !ok {
			return 0, false
		}
		sum, list, n = sum+h, mix(list, h), n+1
		c.space()
		switch next := c.peek(); next {
		case ',':
			c.i++
		case end:
			c.i++
			if end == '}' {
				list = mix(sum, n)
			}
			return mix(uint64(end), list), true
		default:
			return 0, false
		}
	}
	return 0, false
}

func (c *canonical) member() (uint64, bool) {
	c.space()
	if c.peek() != '"' {
		return 0, false
	}
	name, ok := c.quoted()
	c.space()
	if !ok || c.peek() != ':' {
		return 0, false
	}
	c.i++
	h, ok := c.value()
	if isAttempt(name) {
		h = 0
	}
	return mix(mixText('k', name), h), ok
}

// quoted returns what stands between the quotes that begin at i.
func (c *canonical) quoted() (string, bool) {
	c.i++
	for from, i := c.i, c.i; ; {
		n := strings.IndexByte(c.s[i:], '"')
		if n < 0 {
			return "", false
		}
		i += n
		slashes := 0
		for c.s[i-slashes-1] == '\\' { // which the quote before from is not
			slashes++
		}
		i++
		if slashes%2 == 0 {
			c.i = i
			return c.s[from : i-1], true
		}
	}
}

func (c *canonical) space() {
	for c.i < len(c.s) && (c.s[c.i] == ' ' || c.s[c.i] == '\n' || c.s[c.i] == '\t' || c.s[c.i] == '\r') {
		c.i++
	}
}

// peek is the byte at i, or 0 at the end.
func (c *canonical) peek() byte {
	if c.i < len(c.s) {
		return c.s[c.i]
	}
	return 0
}

// scalar reports whether s may be a number or a literal. It need not be strict: what
// is not JSON is compared as text.
func scalar(s string) bool {
	switch s {
	case "true", "false", "null":
		return true
	}
	return s != "" && (isDigit(s[0]) || s[0] == '-' && len(s) > 1 && isDigit(s[1]))
}
