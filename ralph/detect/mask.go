package detect

import (
	"math/bits"
	"strings"
)

// What stands for a masked part of a text.
const (
	maskID     = 0xf1 + iota // a UUID
	maskHex                  // 7 hexadecimal digits or more
	maskTime                 // a date and time, or a time
	maskSpan                 // a duration
	maskPort                 // of a host
	maskTemp                 // the name in a directory for temporary files
	maskNumber               // any other number
)

const (
	maxText  = 4096 // of a text, this much is looked at: its head and its tail
	maxError = 400  // of the text of an error
)

// masking says what of a text counts for nothing.
type masking uint8

const (
	verbatim masking = iota // everything counts
	ids                     // ids, times and such do not: for arguments
	times                   // times do not: for fingerprints of progress, in which ids count
	numbers                 // nor do numbers and dates: for outcomes
)

// text hashes a text without what its masking says. It is one pass, and allocates
// nothing.
type text struct {
	h       uint64
	masked  bool      // something was left out
	letters bool      // something with letters was not
	numbers numbersOf // that count for nothing
}

// add folds s into the hash, in full if it is not longer than maxText.
func (t *text) add(s string, m masking) {
	if len(s) > maxText {
		n := uint64(len(s))
		if m == numbers {
			n = uint64(bits.Len64(n)) // the width of a number in the middle counts for nothing
		}
		t.h = mix(t.h, n)
		t.span(s[:maxText/2], m)
		s = s[len(s)-maxText/2:]
	}
	t.span(s, m)
}

func (t *text) span(s string, m masking) {
	plain, i := 0, 0 // s[:plain] is hashed
	for m != verbatim {
		i = nextSpecial(s, i)
		if i == len(s) {
			break
		}
		var from, to int
		var mask uint64
		if s[i] == '/' {
			from, to, mask = tempName(s, i)
		} else {
			for from = i; from > plain && isWord(s[from-1]); from-- {
			}
			from, to, mask = number(s, from, i, m)
		}
		if m == times && mask != maskTime && mask != maskSpan {
			mask = 0
			if isUnixTime(s, from, to) {
				mask = maskTime
			}
		}
		if mask != 0 {
			t.plain(s[plain:max(from, plain)])
			t.h = mix(t.h, mask)
			t.masked = true
			if mask == maskNumber {
				t.numbers.add(s[from:to])
			}
			plain = to
		}
		i = to
	}
	t.plain(s[plain:])
}

func (t *text) plain(s string) {
	t.h = mixText(t.h, s)
	for i := 0; !t.letters && i < len(s); i++ {
		t.letters = isLetter(s[i])
	}
}

// nextSpecial is the index of the first digit or slash in s from i on, or len(s).
// It looks at 8 bytes at a time: the bytes 0x2f to 0x39.
func nextSpecial(s string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s)-i >= 8; i += 8 {
		x := load64(s[i:])
		low := x &^ highs
		// The high bit of a byte: low >= 0x2f, low >= 0x3a, x is not ASCII.
		hit := (low + (0x80-0x2f)*ones) &^ (low + (0x80-0x3a)*ones) &^ x & highs
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if s[i] >= '/' && s[i] <= '9' {
			return i
		}
	}
	return i
}

// number looks at the word of s that begins at from and has its first digit at i.
// It returns what is to be masked, and where to go on.
func number(s string, from, i int, m masking) (start, end int, mask uint64) {
	end = i
	for end < len(s) && isWord(s[end]) {
		end++
	}
	if start, to, mask := identifier(s, from, end); mask != 0 {
		return start, to, mask
	}
	to := i // where the digits end
	for to < end && isDigit(s[to]) {
		to++
	}
	if i == from && to < len(s) {
		if n, mask := timing(s[from:], s[to], m); n > 0 {
			return from, from + n, mask
		}
	}
	switch n := to - from; {
	case m == numbers:
		return i, to, maskNumber
	case i == from && to == end && n >= 2 && n <= 5 && from > 0 && s[from-1] == ':' && isHost(s[:from-1]):
		return from, end, maskPort
	}
	return from, end, 0
}

// identifier looks whether the word s[from:end], which has a digit, is an id or part
// of one.
func identifier(s string, from, end int) (start, to int, mask uint64) {
	w := s[from:end]
	if len(w) > 2 && w[0] == '0' && w[1]|0x20 == 'x' && allHex(w[2:]) {
		return from, end, maskHex
	}
	if !allHex(w) {
		return from, end, 0
	}
	if len(w) == 8 && isUUID(s[from:]) {
		return from, from + 36, maskID
	}
	if from > 0 && s[from-1] == '-' {
		// The first groups may have no digit.
		for _, back := range [...]int{9, 14, 19, 24} {
			if at := from - back; at >= 0 && (at == 0 || !isWord(s[at-1])) && isUUID(s[at:]) {
				return at, at + 36, maskID
			}
		}
	}
	if len(w) >= 7 && strings.ContainsFunc(w, func(r rune) bool { return r > '9' }) {
		return from, end, maskHex
	}
	return from, end, 0
}

// timing is the length of the date, time or duration that s begins with, or zero.
// The byte next follows its first digits, and says what it cannot be.
func timing(s string, next byte, m masking) (n int, mask uint64) {
	switch next {
	case '-', '/', ':', 'T':
		n, timed := moment(s)
		if timed || m == numbers {
			return n, maskTime
		}
		return n, 0
	case '.', 's', 'm', 'h', 'u', 'n', "µ"[0]:
		return duration(s), maskSpan
	}
	return 0, 0
}

// isUUID reports whether s begins with one.
func isUUID(s string) bool {
	if len(s) < 36 || len(s) > 36 && isWord(s[36]) {
		return false
	}
	for i := range 36 {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// moment is the length of the date, the time or both that s begins with, or zero;
// timed says that there is a time.
func moment(s string) (n int, timed bool) {
	switch {
	case shape(s, "dddd-dd-dd"), shape(s, "dddd/dd/dd"):
		n = 10
		if len(s) > n && (s[n] == 'T' || s[n] == 't' || s[n] == ' ') {
			if c := timeOfDay(s[n+1:]); c > 0 {
				return n + 1 + c, true
			}
		}
		if len(s) > n && isWord(s[n]) {
			return 0, false
		}
		return n, false
	case shape(s, "ddddddddTdddddd"):
		n = 15
		if len(s) > n && s[n] == 'Z' {
			n++
		}
		if len(s) > n && isWord(s[n]) {
			return 0, false
		}
		return n, true
	case shape(s, "dd:dd:dd"):
		return timeOfDay(s), true
	}
	return 0, false
}

// timeOfDay is the length of the time that s begins with, hours and minutes at least,
// with fractions and zone, or zero.
func timeOfDay(s string) int {
	if !shape(s, "dd:dd") {
		return 0
	}
	n := 5
	if shape(s[n:], ":dd") {
		n += 3
		if shape(s[n:], ".d") || shape(s[n:], ",d") {
			n += 2
			for n < len(s) && isDigit(s[n]) {
				n++
			}
		}
	}
	switch {
	case n < len(s) && (s[n] == 'Z' || s[n] == 'z'):
		return n + 1
	case shape(s[n:], "+dd:dd"), shape(s[n:], "-dd:dd"):
		return n + 6
	case shape(s[n:], "+dddd"), shape(s[n:], "-dddd"):
		return n + 5
	}
	return n
}

// shape reports whether s begins with form, in which d is any digit.
func shape(s, form string) bool {
	if len(s) < len(form) {
		return false
	}
	for i := range len(form) {
		if form[i] == 'd' {
			if !isDigit(s[i]) {
				return false
			}
		} else if s[i] != form[i] {
			return false
		}
	}
	return true
}

// duration is the length of the duration that s begins with, like 250ms, 1.5s or
// 1h2m3s, or zero.
func duration(s string) int {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		if shape(s[i:], ".d") {
			i++
			for i < len(s) && isDigit(s[i]) {
				i++
			}
		}
		u := unit(s[i:])
		if u == 0 {
			return 0
		}
		i += u
	}
	if i < len(s) && isWord(s[i]) {
		return 0
	}
	return i
}

// unit is the length of the unit of time that s begins with, or zero.
func unit(s string) int {
	switch {
	case len(s) >= 3 && (s[:3] == "min" || s[:3] == "sec" || s[:3] == "µs"):
		return 3
	case len(s) >= 2 && (s[:2] == "ms" || s[:2] == "us" || s[:2] == "ns"):
		return 2
	case s != "" && (s[0] == 's' || s[0] == 'm' || s[0] == 'h'):
		return 1
	}
	return 0
}

// isHost reports whether s ends with what may stand before a port: localhost, an
// address, or the host of a URL. A file's name before a line's number is none.
func isHost(s string) bool {
	const local, most = "localhost", 255
	if len(s) >= len(local) && s[len(s)-len(local):] == local || s != "" && s[len(s)-1] == ']' {
		return true
	}
	i, dots, digits := len(s), 0, true
	for i > 0 && len(s)-i < most && (isWord(s[i-1]) || s[i-1] == '.' || s[i-1] == '-') {
		i--
		if s[i] == '.' {
			dots++
		} else {
			digits = digits && isDigit(s[i])
		}
	}
	return digits && dots == 3 || i >= 3 && i < len(s) && s[i-3:i] == "://"
}

// tempName finds the name below a directory of temporary files whose path begins
// at i. What is below that name is kept.
func tempName(s string, i int) (start, end int, mask uint64) {
	if i > 0 && isWord(s[i-1]) {
		return i, i + 1, 0 // some other directory's tmp
	}
	for _, dir := range [...]string{"/tmp/", "/var/folders/"} {
		if len(s)-i > len(dir) && s[i:i+len(dir)] == dir {
			start = i + len(dir)
			end = start
			for end < len(s) && (isWord(s[end]) || s[end] == '.' || s[end] == '-' || s[end] == '_') {
				end++
			}
			if end > start {
				return start, end, maskTemp
			}
		}
	}
	return i, i + 1, 0
}

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return c|0x20-'a' <= 'z'-'a' || c >= 0x80 }
func isWord(c byte) bool   { return isDigit(c) || isLetter(c) }
func isHex(c byte) bool    { return isDigit(c) || c|0x20-'a' <= 'f'-'a' }

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isUnixTime reports whether s[from:to] is a word of digits that may be the time now, in
// seconds, or in thousandths and so on.
func isUnixTime(s string, from, to int) bool {
	switch n := to - from; n {
	case 10, 13, 16, 19:
	default:
		return false
	}
	for i := from; i < to; i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s[from] == '1' || s[from] == '2'
}
