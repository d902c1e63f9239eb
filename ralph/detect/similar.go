package detect

import (
	"math/bits"
)

const (
	fewWords = 4    // with fewer, only the very same words are near
	nearBits = 16   // of 64 may differ between texts that are near
	maxReply = 1024 // of a reply, this much is looked at
)

// similar is what is known of a text in few bytes. It is an estimate: see gist for a
// better one.
type similar struct {
	// Bits is a similarity hash over pairs of words (Charikar, "Similarity estimation
	// techniques from rounding algorithms", 2002); of few words, a hash of them.
	Bits uint64
	// Bag has one bit for each word. Among short texts the similarity hash alone
	// finds some near that have no word in common.
	Bag   uint64
	Words uint32 // how many there are
}

// simhash makes one.
type simhash struct {
	similar
	exact uint64 // a hash of all words in order
	last  uint64
	lanes [8]uint64 // 64 counters of 8 bits: pairs whose hash has the bit
	ones  [64]uint16
	block int // pairs since lanes were added to ones
	pairs int
}

func similarOf(s string) similar {
	k := simhash{exact: seed}
	for _, part := range ends(s, maxReply) {
		for h, _, i, ok := nextWord(part, 0); ok; h, _, i, ok = nextWord(part, i) {
			k.word(h)
		}
	}
	if k.Words < fewWords {
		k.Bits = k.exact
		return k.similar
	}
	k.flush()
	for i, n := range k.ones {
		if 2*int(n) > k.pairs {
			k.Bits |= 1 << i
		}
	}
	return k.similar
}

func (k *simhash) word(h uint64) {
	k.exact = mix(k.exact, h)
	k.Bag |= 1 << (h >> 58)
	if k.Words > 0 {
		k.pair(mix(k.last, h))
	}
	k.last = h
	k.Words++
}

func (k *simhash) pair(h uint64) {
	for i := range k.lanes {
		// The 8 bits of a byte, each in a byte of its own.
		x := h & 0xff * 0x0101010101010101 & 0x8040201008040201
		k.lanes[i] += (x + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101
		h >>= 8
	}
	k.pairs++
	if k.block++; k.block == 255 {
		k.flush()
	}
}

func (k *simhash) flush() {
	for i, lane := range k.lanes {
		for j := range 8 {
			k.ones[8*i+j] += uint16(lane >> (8 * j) & 0xff)
		}
	}
	k.lanes, k.block = [8]uint64{}, 0
}

// near reports whether a and b read nearly the same. Texts without words do not.
func (a *similar) near(b *similar) bool {
	switch {
	case a.Words == 0: // and else, if b has none, they differ
		return false
	case a.Words < fewWords || b.Words < fewWords:
		return a.Words == b.Words && a.Bits == b.Bits
	}
	return bits.OnesCount64(a.Bits^b.Bits) <= nearBits && 2*bits.OnesCount64(a.Bag&b.Bag) >= bits.OnesCount64(a.Bag|b.Bag)
}
