package roundtrip

// Options are those of t, to be changed before its first use.
func (t *Transport) Options() *Options { return &t.options }
