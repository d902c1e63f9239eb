package core

// ages keeps a registry's entries in the order in which they were last asked for,
// so that the one that was not for the longest is found without looking at all. It
// is kept in step by a hand that looks at a few shards with each new name, and
// goes once around in Max/64 new names; so it tells ticks apart by that much, and
// each new name costs the same however many names there are. All of it is guarded
// by Registry.mu.
//
// Invariants:
//
//  1. An entry that was looked at is pinned, and in no list, if it could not go
//     then; else it is in the list of its generation, gen, that of seen then.
//  2. The list of generation g is recent[g%generations] while g is one of the
//     newest, and ancient later. Within ancient the older generations stand first.
type ages struct {
	width  uint64 // ticks to a generation
	newest uint64 // generation
	recent [generations]ageList
	// ancient holds what was last asked for before the generations of recent.
	ancient ageList
	pins    int // entries that are pinned
	hand    int // the next shard to look at
}

const (
	generations = 128
	handShards  = 4  // looked at with each new name
	maxTries    = 64 // entries that are tried as a victim before the best of them goes
)

// links are an entry's place in ages.
type links struct {
	prev, next     *entry
	gen            uint64
	listed, pinned bool // one of them, once it was looked at
}

// ageList is a list of entries; the one that came first is first.
type ageList struct{ first, last *entry }

func (l *ageList) push(e *entry) {
	e.prev, e.next = l.last, nil
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
}

func (l *ageList) remove(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next = nil, nil
}

// take moves all of from to the end of l.
func (l *ageList) take(from *ageList) {
	switch {
	case from.first == nil:
		return
	case l.last == nil:
		*l = *from
	default:
		l.last.next, from.first.prev = from.first, l.last
		l.last = from.last
	}
	*from = ageList{}
}

func newAges(limit int, tick uint64) *ages {
	width := uint64(max(limit/(generations/2), 1))
	return &ages{width: width, newest: tick / width}
}

// turn makes room for the generation of a tick.
func (a *ages) turn(tick uint64) {
	for to := tick / a.width; a.newest < to; {
		a.newest++
		a.ancient.take(&a.recent[a.newest%generations])
	}
}

func (a *ages) listOf(e *entry) *ageList {
	if a.newest-e.gen >= generations {
		return &a.ancient
	}
	return &a.recent[e.gen%generations]
}

// place puts the entry where it belongs and reports whether that is another place
// than before.
func (a *ages) place(e *entry) (moved bool) {
	seen := e.seen.Load()
	if seen != e.met {
		e.met = seen
		e.again++
	}
	gen := seen / a.width // at most newest: ticks are turned before they are current
	// A permit that is out is looked for only where one was found: that reads
	// every shard of the breaker's counters.
	pinned := !e.breaker.plainlyClosed() || e.pinned && !e.breaker.idle()
	switch {
	case pinned && e.pinned || !pinned && e.listed && e.gen == gen:
		return false
	case pinned:
		a.pin(e)
	default:
		a.drop(e)
		e.listed, e.gen = true, gen
		a.listOf(e).push(e)
	}
	return true
}

func (a *ages) pin(e *entry) {
	a.drop(e)
	e.pinned = true
	a.pins++
}

// drop undoes place.
func (a *ages) drop(e *entry) {
	if e.listed {
		a.listOf(e).remove(e)
	}
	if e.pinned {
		a.pins--
	}
	e.listed, e.pinned = false, false
}

// look places the entries of the next shards.
func (a *ages) look(shards []nameShard) {
	for range min(handShards, len(shards)) {
		for _, e := range shards[a.hand].all() {
			a.place(e)
		}
		a.hand = (a.hand + 1) % len(shards)
	}
}

// oldest returns the first entry of the oldest generation, or nil.
func (a *ages) oldest() *entry {
	if e := a.ancient.first; e != nil {
		return e
	}
	for i := uint64(1); i <= generations; i++ {
		if e := a.recent[(a.newest+i)%generations].first; e != nil {
			return e
		}
	}
	return nil
}
