package detect

import "slices"

// tokens remember the last tokens of progress by their hashes.
type tokens struct {
	Seen  [24]uint32
	Next  uint8
	Len   uint8
	Armed bool // somebody reports progress
}

// add reports whether a token is progress: new, and not the first.
func (t *tokens) add(token string) bool {
	t.Armed = true
	if token == "" {
		return false
	}
	h := uint32(mixText(seed, token))
	if slices.Contains(t.Seen[:t.Len], h) {
		return false
	}
	t.Seen[t.Next] = h
	t.Next = (t.Next + 1) % uint8(len(t.Seen))
	t.Len = min(t.Len+1, uint8(len(t.Seen)))
	return t.Len > 1
}
