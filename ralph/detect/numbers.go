package detect

// Outcomes that differ in numbers alone may be noise, as the id of a process is, or say
// that something moves: fewer tests fail, a page is the next one, a build is at 41 %.

const keptNumbers = 2 // at the head of an outcome, and as many at the tail

// figures are the numbers of an outcome.
type figures struct {
	Hash uint16 // of all of them
	Kept [2 * keptNumbers]uint16
}

// numbersOf collects the numbers of a text while it is hashed.
type numbersOf struct {
	hash uint64
	n    int
	kept [2 * keptNumbers]uint16
}

// add takes in a number by its digits, of which the last 16 bits are kept: so noise in
// large numbers stays noise.
func (c *numbersOf) add(digits string) {
	c.hash = mixText(c.hash, digits)
	v := uint32(0)
	for i := range len(digits) {
		v = 10*v + uint32(digits[i]-'0')
	}
	place := c.n
	if place >= keptNumbers {
		place = keptNumbers + c.n%keptNumbers
	}
	c.kept[place] = uint16(v)
	c.n++
}

func (c *numbersOf) figures() figures { return figures{Hash: uint16(c.hash), Kept: c.kept} }

// drift is how the numbers of outcomes that are otherwise alike have changed.
type drift uint8

const (
	still  drift = iota // not at all
	noisy               // up and down
	moving              // one of them in one direction alone, or with other work in between
)

// trend follows numbers back from the last outcome.
type trend struct {
	last     figures
	up, down [2 * keptNumbers]bool
	changed  bool // some number
	worked   bool // something new was done between outcomes that differ
	equal    uint32
	begun    bool
}

// add takes in an outcome that was before those that were added; fresh says that
// something new was done after it.
func (t *trend) add(f figures, fresh bool) {
	if !t.begun {
		t.begun, t.last, t.equal = true, f, 1
		return
	}
	switch {
	case f.Hash != t.last.Hash:
		t.changed = true
		t.worked = t.worked || fresh
	case !t.changed:
		t.equal++
	}
	for i, v := range f.Kept {
		t.up[i] = t.up[i] || v < t.last.Kept[i]
		t.down[i] = t.down[i] || v > t.last.Kept[i]
	}
	t.last = f
}

func (t *trend) drift() drift {
	switch {
	case !t.changed:
		return still
	case t.worked:
		return moving
	}
	for i := range t.up {
		if t.up[i] != t.down[i] {
			return moving
		}
	}
	return noisy
}

// alike is what a rule has counted of outcomes that are alike but for their numbers.
type alike struct {
	all   uint32 // of them
	equal uint32 // of the last ones, in which the numbers are equal as well
	drift drift
}

// trust is a count as a rule may compare it with its limits: outcomes that are equal
// count in full, noise half for a trip, and what moves for nothing.
func (a alike) trust(lim Limits) (n uint32) {
	switch {
	case a.drift == still || lim.Trip == never:
		return a.all
	case a.drift == moving:
		return a.equal
	case int(a.all) < 2*lim.Trip: // as far as to a nudge
		return max(a.equal, min(a.all, uint32(max(lim.Trip-1, 0))))
	}
	return a.all
}

// alikeAmong counts the calls in the ring that match, at most so many of the ring and
// back to the call of number since.
func (r *Run) alikeAmong(most int, since uint32, match func(i int) bool) alike {
	var t trend
	n, fresh := uint32(0), false
	for back := range min(most, int(r.s.Ring.Len)) {
		if r.s.Made-uint32(back) <= since {
			break
		}
		i := r.s.Ring.back(back)
		if match(i) {
			t.add(r.s.Ring.figures(back), fresh)
			n, fresh = n+1, false
		} else {
			fresh = fresh || r.s.Ring.Flags[i]&(isNew|failed) == isNew
		}
	}
	return alike{all: n, equal: t.equal, drift: t.drift()}
}
