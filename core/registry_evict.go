package core

import "time"

// tickLocked begins the next interval between two new names.
func (r *Registry) tickLocked() {
	next := r.tick.Load() + 1
	if r.ages != nil {
		r.ages.turn(next)
	}
	r.tick.Store(next)
}

// newEntryLocked returns an entry for b that is not in the map yet.
func (r *Registry) newEntryLocked(b *Breaker, config *func(string) Config) *entry {
	if size := int(r.size.Load()); 2*size >= r.limit && size < r.limit {
		r.lookLocked()
	}
	now := r.tick.Load()
	e := &entry{breaker: b, met: now, made: config}
	e.seen.Store(now)
	r.tickLocked() // a lookup from now on is later than its making
	return e
}

func (r *Registry) lookLocked() {
	if r.ages == nil {
		r.ages = newAges(r.limit, r.tick.Load())
	}
	r.ages.look(r.shards)
}

// room reports whether there is a place for a name, or can be made. A name that
// finds none costs a look at a few breakers, and neither a Config nor a breaker.
func (r *Registry) room(name string, s *nameShard) bool {
	if int(r.size.Load()) < r.limit {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(r.size.Load()) < r.limit || s.find(name) != nil || r.victimLocked() != nil {
		return true
	}
	r.tickLocked()
	return false
}

// victimLocked returns the entry that goes to make room, or nil.
func (r *Registry) victimLocked() *entry {
	r.lookLocked()
	var best *entry // of those tried
	for range maxTries {
		e := r.ages.oldest()
		if e == nil {
			break
		}
		if !e.breaker.idle() {
			r.ages.pin(e)
			continue
		}
		if !r.ages.place(e) {
			best = e
			break
		}
		// It was asked for since the hand passed.
		if !e.pinned && (best == nil || e.seen.Load() < best.seen.Load()) {
			best = e
		}
	}
	if best == nil || best.pinned || r.keepsLocked(best) {
		return nil
	}
	return best
}

// keepsLocked reports whether an entry keeps its place although it is the one that
// was not asked for the longest: half of the breakers cannot go, and this one was
// asked for again and again and still is. Else names that fail, each of which keeps
// its place when its breaker opens, would drive out all others, one by one.
func (r *Registry) keepsLocked(e *entry) bool {
	return 2*r.ages.pins >= r.limit && e.again > 1 && r.tick.Load()-e.seen.Load() < uint64(r.limit)
}

// evictLocked evicts an entry to make room. It reports false if that is asked for
// or called meanwhile.
func (r *Registry) evictLocked(e *entry) bool {
	s := r.shardOf(e.breaker.name)
	if !e.breaker.plainlyClosed() || !r.endLocked(s, e, e.seen.Load()) {
		return false
	}
	s.without(1)
	return true
}

// endLocked makes an entry gone that was last asked for at the tick seen, keeps what
// it had counted and gives its place back, unless its breaker is not idle. The caller
// takes it out of the map. See invariants 2 and 3 of entry.
func (r *Registry) endLocked(s *nameShard, e *entry, seen uint64) bool {
	b := e.breaker
	if !b.idle() || !e.seen.CompareAndSwap(seen, entryGone) {
		return false
	}
	perturb()
	// The reading decides that is kept: a permit that is taken later counts nowhere,
	// rather than as one that is out for ever.
	p := b.toPast()
	if b.settings.Load().override != NoOverride || p.out > 0 && p.out > b.lostOut() {
		e.seen.Store(r.tick.Load()) // a caller that kept it has just called
		return false
	}
	s.gone.add(p.totals)
	r.evicted++
	s.past.put(b.name, &p, r.evicted, r.limit)
	if r.ages != nil {
		r.ages.drop(e)
	}
	r.size.Add(-1)
	return true
}

// sweepCost is how much time must pass between two sweeps for each breaker that they
// look at: about a hundred times what that takes.
const sweepCost = 10 * time.Microsecond

const sweepShards = 64 // swept in one go, with Registry.mu held: about 2,000 breakers

// sweep evicts breakers for idleness, at most ten times in Idle.
func (r *Registry) sweep(now time.Duration) {
	last := r.swept.Load()
	if r.idle < 0 || now-time.Duration(last) < max(r.idle/10, time.Duration(r.size.Load())*sweepCost) || !r.swept.CompareAndSwap(last, int64(now)) {
		return
	}
	for rest := r.shards; len(rest) > 0; {
		n := min(sweepShards, len(rest))
		r.sweepSome(rest[:n], now)
		rest = rest[n:]
	}
}

func (r *Registry) sweepSome(shards []nameShard, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range shards {
		s, gone := &shards[i], 0
		for _, e := range s.all() {
			if seen, expired := r.expiredLocked(e, now); expired && r.endLocked(s, e, seen) {
				gone++
			}
		}
		if gone > 0 {
			s.without(gone)
		}
	}
}

// expiredLocked reports whether an entry has not been asked for since it was at the
// tick seen, which is long ago.
func (r *Registry) expiredLocked(e *entry, now time.Duration) (seen uint64, expired bool) {
	seen = e.seen.Load()
	if seen != e.swept {
		e.swept, e.since = seen, now
		return seen, false
	}
	idle := r.idle
	if !e.breaker.plainlyClosed() {
		idle = later(idle, e.breaker.settings.Load().MaxTimeout)
	}
	return seen, now-e.since >= idle
}

// plainlyClosed reports whether the breaker is closed and not overridden.
func (b *Breaker) plainlyClosed() bool {
	return b.settings.Load().override == NoOverride && b.phase.Load().state == Closed
}

// idle reports whether nothing is to come of the breaker as it is: it is not
// overridden, and no permit is out but those of lost probes.
func (b *Breaker) idle() bool {
	if b.settings.Load().override != NoOverride {
		return false
	}
	st := b.stats()
	if st == nil {
		return true
	}
	out := st.out() // first: a probe that is lost meanwhile must not make up for another permit
	return out <= 0 || out <= b.lostOut()
}

// lostOut returns how many of the permits that are out are of probes that are lost.
func (b *Breaker) lostOut() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.viewLocked(b.phase.Load(), b.settings.Load(), b.now())
	return int64(v.lost) + b.stats().lostOut.Load()
}
