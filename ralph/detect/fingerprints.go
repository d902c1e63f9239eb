package detect

import (
	"slices"
)

// fingerprints remember the last different fingerprints of progress by their hashes.
type fingerprints struct {
	Seen  [24]uint32
	Next  uint8
	Len   uint8
	Armed bool // the caller reports progress
}

// add reports whether a fingerprint is progress: new, and not the first.
func (f *fingerprints) add(fingerprint string) bool {
	f.Armed = true
	if fingerprint == "" {
		return false
	}
	t := text{h: seed}
	t.add(fingerprint, times)
	h := uint32(t.h)
	if slices.Contains(f.Seen[:f.Len], h) {
		return false
	}
	f.Seen[f.Next] = h
	f.Next = (f.Next + 1) % uint8(len(f.Seen))
	f.Len = min(f.Len+1, uint8(len(f.Seen)))
	return f.Len > 1
}

// valid reports whether f, read from a store, can have been written.
func (f *fingerprints) valid() bool { return int(f.Next) < len(f.Seen) && int(f.Len) <= len(f.Seen) }
