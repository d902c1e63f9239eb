package detect

import (
	"unicode/utf8"
)

// firstWide is the rune from which on scripts do without spaces; each rune is a
// word.
const firstWide = 0x2e80

// nextWord finds the first word of s from i on: its hash, whether it has digits, and
// where to go on. Case is ignored, ids are all the same word, numbers are not. At the
// end of s there is none.
func nextWord(s string, i int) (h uint64, digits bool, next int, ok bool) {
	for i < len(s) {
		c := s[i]
		if c == '/' {
			_, end, mask := tempName(s, i)
			if mask != 0 {
				return mask, false, end, true
			}
			i = end
			continue
		}
		if !isWord(c) {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r >= firstWide && r != utf8.RuneError {
				return mixText('w', s[i:i+n]), false, i + n, true
			}
		}
		h, digits, next = word(s, i)
		return h, digits, next, true
	}
	return 0, false, i, false
}

// ends are the head and the tail of s, together at most most bytes; the tail may be
// empty.
func ends(s string, most int) [2]string {
	if len(s) <= most {
		return [2]string{s}
	}
	return [2]string{s[:most/2], s[len(s)-most/2:]}
}

// word is the hash of the word that begins at i, whether it has digits, and where
// it ends.
func word(s string, i int) (h uint64, digits bool, end int) {
	h, end = 'w', i
	digit := -1
	for ; end < len(s) && isWord(s[end]); end++ {
		c := s[end]
		if c-'A' <= 'Z'-'A' {
			c |= 0x20
		}
		if digit < 0 && isDigit(c) {
			digit = end
		}
		h = (h ^ uint64(c)) * prime
	}
	if digit < 0 && end-i == 8 && end < len(s) && s[end] == '-' && isUUID(s[i:]) {
		return maskID, false, i + 36
	}
	if digit >= 0 {
		_, to, mask := number(s, i, digit, ids)
		if mask != 0 {
			return mask, false, to
		}
		if to > end { // a date
			return mixText('w', s[i:to]), true, to
		}
	}
	return mix(seed, h), digit >= 0, end
}
