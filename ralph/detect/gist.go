package detect

import (
	"slices"
)

const (
	maxPayload = 16 << 10 // of a payload, this much is looked at
	halfKept   = 32       // words at the head, and as many at the tail, are kept
	nearWords  = 0.6      // share of the words that texts have in common that are near
)

// gist is what is known of a payload: hashes of its words. Two of them are compared
// word by word. A similarity hash of 64 bits would need less room, but how near it
// finds two sentences of some 30 words, as these are, is mostly the luck of its hash
// function.
type gist struct {
	Exact uint64 // a hash of all words in order
	Words uint32 // how many there are
	Kept  [2 * halfKept]uint16
}

func gistOf(s string) gist {
	g, tail := gist{Exact: seed}, 0 // the place of the next word at the tail, a ring
	for _, part := range ends(s, maxPayload) {
		for h, digits, i, ok := nextWord(part, 0); ok; h, digits, i, ok = nextWord(part, i) {
			short := uint16(h>>32) &^ 1
			if digits {
				short |= 1
			}
			if g.Words < halfKept {
				g.Kept[g.Words] = short
			} else {
				g.Kept[halfKept+tail] = short
				tail = (tail + 1) % halfKept
			}
			g.Exact = mix(g.Exact, h)
			g.Words++
		}
	}
	if int(g.Words) > len(g.Kept) { // the tail in order
		ring := g.Kept
		n := copy(g.Kept[halfKept:], ring[halfKept+tail:])
		copy(g.Kept[halfKept+n:], ring[halfKept:halfKept+tail])
	}
	return g
}

// kept are the words that are known: all, or head and tail.
func (g *gist) kept() []uint16 { return g.Kept[:min(int(g.Words), len(g.Kept))] }

// near reports whether g and b read nearly the same and are not two items of a
// batch. Texts without words do not. Half a page that both begin or end with is what
// a template has, and counts for nothing.
func (g *gist) near(b *gist) bool {
	switch {
	case g.Words == 0: // and else, if b has none, they differ
		return false
	case g.Exact == b.Exact:
		return true
	case g.Words < fewWords || b.Words < fewWords:
		return false
	}
	x, y := g.kept(), b.kept()
	if len(x) > halfKept && len(y) > halfKept {
		head := slices.Equal(x[:halfKept], y[:halfKept])
		tail := slices.Equal(x[len(x)-halfKept:], y[len(y)-halfKept:])
		switch {
		case head && tail:
			return false // what differs is not kept, or in one place
		case head:
			x, y = follow(x[halfKept:], y[halfKept:])
		case tail:
			x, y = precede(x[:len(x)-halfKept], y[:len(y)-halfKept])
		}
	}
	return common(x, y) >= nearWords && !sameBatch(x, y)
}

// numbered reports whether g and b have the same words but for numbers.
func (g *gist) numbered(b *gist) bool {
	return g.Words > 0 && g.Words == b.Words && slices.EqualFunc(g.kept(), b.kept(), func(x, y uint16) bool { return x == y || x&y&1 == 1 })
}

// partOf reports whether all words of g are in b, which has more: what is left of a list.
func (g *gist) partOf(b *gist) bool {
	if g.Words >= b.Words {
		return false
	}
	all := newBag(b.kept())
	return !slices.ContainsFunc(g.kept(), func(w uint16) bool { return !all.has(w) })
}

// follow drops what is left of the same beginning: the longest run of words that is
// the beginning of one and somewhere in the other.
func follow(x, y []uint16) (restX, restY []uint16) {
	most, atX, atY := 0, 0, 0
	for shift := range max(len(x), len(y)) {
		if n := prefix(x[min(shift, len(x)):], y); n > most {
			most, atX, atY = n, shift+n, n
		}
		if n := prefix(x, y[min(shift, len(y)):]); n > most {
			most, atX, atY = n, n, shift+n
		}
	}
	return x[atX:], y[atY:]
}

// precede is follow for the same end.
func precede(x, y []uint16) (restX, restY []uint16) {
	most, toX, toY := 0, len(x), len(y)
	for shift := range max(len(x), len(y)) {
		if n := suffix(x[:max(len(x)-shift, 0)], y); n > most {
			most, toX, toY = n, len(x)-shift-n, len(y)-n
		}
		if n := suffix(x, y[:max(len(y)-shift, 0)]); n > most {
			most, toX, toY = n, len(x)-n, len(y)-shift-n
		}
	}
	return x[:toX], y[:toY]
}

// prefix is how many words both begin with, suffix how many both end with.
func prefix(x, y []uint16) (n int) {
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return n
}

func suffix(x, y []uint16) (n int) {
	for n < min(len(x), len(y)) && x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	return n
}

// common is the share of words that are in both of those that are in either
// (Jaccard).
func common(x, y []uint16) float64 {
	a, b := newBag(x), newBag(y)
	both := 0
	for _, w := range x {
		if b.has(w) && a.take(w) {
			both++
		}
	}
	return float64(both) / float64(max(a.size+b.size-both, 1))
}

// bag is a set of words: a hash table with open addressing, at most half full.
type bag struct {
	place [4 * halfKept]uint16
	used  [4 * halfKept]bool
	gone  [4 * halfKept]bool
	size  int
}

func newBag(words []uint16) *bag {
	var b bag
	for _, w := range words {
		b.add(w)
	}
	return &b
}

// at is where w is, or would be.
func (b *bag) at(w uint16) int {
	i := int(w>>1) % len(b.place)
	for b.used[i] && b.place[i] != w {
		i = (i + 1) % len(b.place)
	}
	return i
}

func (b *bag) add(w uint16) {
	if i := b.at(w); !b.used[i] {
		b.place[i], b.used[i] = w, true
		b.size++
	}
}

func (b *bag) has(w uint16) bool { return b.used[b.at(w)] }

// take reports whether w is in the bag and was not taken.
func (b *bag) take(w uint16) bool {
	i := b.at(w)
	first := b.used[i] && !b.gone[i]
	b.gone[i] = true
	return first
}
