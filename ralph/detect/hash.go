package detect

import (
	"math/bits"
	"unsafe"
)

// The hashes are of 64 bits and not keyed: they are kept across restarts, and who
// could make two calls collide could as well make the same call twice.
const (
	seed   = 0x9e3779b97f4a7c15
	prime  = 0xd6e8feb86659fd93
	prime2 = 0xa0761d6478bd642f
)

// mix folds v into h by one wide multiplication. Order matters.
func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^prime2, v^prime)
	return hi ^ lo ^ bits.RotateLeft64(h, 23)
}

// mixText folds the bytes of s and their number into h.
func mixText(h uint64, s string) uint64 {
	n := len(s)
	for len(s) >= 8 {
		h = mix(h, load64(s))
		s = s[8:]
	}
	var last uint64
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	return mix(h, last^uint64(n)<<56)
}

// load64 is the first 8 bytes of s, which has as many.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// textOf is s, or else b without a copy: nothing here keeps or returns it.
func textOf(s string, b []byte) string {
	if s != "" || len(b) == 0 {
		return s
	}
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // read only while the caller waits
}
