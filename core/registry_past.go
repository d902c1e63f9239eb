package core

import (
	"encoding/binary"
	"slices"
	"time"
)

// past is what a breaker that was evicted had counted: what an exporter exports as
// counters. The breaker that is made anew under its name adds it to what it counts.
// It does not change.
type past struct {
	started   time.Time // when its counters began
	totals    Totals
	changes   [changeCount]uint64
	probes    Probes
	times     TimeIn
	durations *[2]durationCounts // by failed; nil if Durations was never on
	out       int64              // permits of the breaker itself, as stats.out; not kept
}

// toPast reads the breaker's past, what it continues included.
func (b *Breaker) toPast() past {
	now := b.lock()
	ph, s := b.phase.Load(), b.settings.Load()
	v := b.viewLocked(ph, s, now)
	var is lifetime
	if l := b.ledger.Load(); l != nil {
		is = l.lifetime
	}
	is.roll(s.override, &v, now)
	p := past{started: b.epoch, changes: is.changes, probes: is.probes, times: is.times}
	st := ph.stats.Load()
	if st != nil {
		p.totals = st.totals()
		p.totals.Lost += uint64(v.lost)
	}
	b.mu.Unlock()
	if st != nil {
		p.out = p.totals.InFlight
		if st.past != nil {
			p.out -= st.past.totals.InFlight
		}
		st.past.addTo(&p)
		if st.durations.Load() != nil || p.durations != nil {
			p.durations = &[2]durationCounts{st.durationsOf(Success), st.durationsOf(Failure)}
		}
	}
	return p
}

// addTo adds p to the past of the breaker that continues it, but for Totals and
// durations, which the breaker's stats have included.
func (p *past) addTo(sum *past) {
	if p == nil {
		return
	}
	sum.started, sum.durations = p.started, p.durations
	for i, n := range p.changes {
		sum.changes[i] += n
	}
	sum.probes.Successes += p.probes.Successes
	sum.probes.Failures += p.probes.Failures
	sum.probes.Ignored += p.probes.Ignored
	sum.times.Closed += p.times.Closed
	sum.times.Open += p.times.Open
	sum.times.HalfOpen += p.times.HalfOpen
	sum.times.ForcedOpen += p.times.ForcedOpen
	sum.times.Disabled += p.times.Disabled
}

// continues makes a breaker that is not shared yet go on from p.
func (b *Breaker) continues(p *past) {
	st := &stats{shards: make([]counters, shards()), past: p}
	b.applyStatsOptions(st, b.settings.Load())
	b.phase.Load().stats.Store(st)
}

// fill adds p to what a Snapshot tells of the breaker that continues it.
func (p *past) fill(snap *Snapshot) {
	if p == nil {
		return
	}
	sum := past{probes: snap.Probes, times: snap.TimeIn}
	p.addTo(&sum)
	snap.Started, snap.Probes, snap.TimeIn = sum.started, sum.probes, sum.times
	for i, n := range sum.changes {
		snap.Changes[i].Count += n
	}
}

// out returns how many permits of the breaker itself are out, without those that
// were lost before it was made.
func (s *stats) out() int64 {
	n := s.totals().InFlight
	if s.past != nil {
		n -= s.past.totals.InFlight
	}
	return n
}

// lengthsOf sums the buckets of durations, the past's included.
func (s *stats) durationsOf(o Outcome) (sum durationCounts) {
	if h := s.durations.Load(); h != nil {
		sum = h.counts(o)
	}
	if s.past != nil && s.past.durations != nil {
		row := &s.past.durations[0]
		if o == Failure {
			row = &s.past.durations[1]
		}
		for i := range sum {
			sum[i] += row[i]
		}
	}
	return sum
}

const pastWords = 19 + changeCount

// words are the numbers of p but for durations, which come by the hundred.
func (p *past) words() (w [pastWords]uint64) {
	t, d := &p.totals, &p.times
	n := copy(w[:], []uint64{
		t.Calls, t.Successes, t.Failures, t.Ignored, t.Refused, t.Slow, t.Timeouts, t.Late, t.Lost, t.ShadowAdmitted, uint64(t.InFlight),
		p.probes.Successes, p.probes.Failures, p.probes.Ignored,
		uint64(d.Closed), uint64(d.Open), uint64(d.HalfOpen), uint64(d.ForcedOpen), uint64(d.Disabled),
	})
	copy(w[n:], p.changes[:])
	return w
}

// setWords undoes words.
func (p *past) setWords(w *[pastWords]uint64) {
	p.totals = Totals{w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], int64(w[10])}
	p.probes = Probes{w[11], w[12], w[13]}
	p.times = TimeIn{time.Duration(w[14]), time.Duration(w[15]), time.Duration(w[16]), time.Duration(w[17]), time.Duration(w[18])}
	copy(p.changes[:], w[19:])
}

// pack writes p but for the start in few bytes, as most of its numbers are 0: a bit
// for each word that is not 0, those words, and, if there are durations, for successes
// and failures how many buckets hold any, and for each its distance from the one
// before and its count.
func (p *past) pack(to []byte) []byte {
	var set uint64
	words := p.words()
	for i, w := range words {
		if w != 0 {
			set |= 1 << i
		}
	}
	to = binary.AppendUvarint(to, set)
	for _, w := range words {
		if w != 0 {
			to = binary.AppendUvarint(to, w)
		}
	}
	if p.durations == nil {
		return to
	}
	for j := range p.durations {
		row, used, last := &p.durations[j], 0, 0
		for _, n := range row {
			if n > 0 {
				used++
			}
		}
		to = binary.AppendUvarint(to, uint64(used))
		for i, n := range row {
			if n > 0 {
				to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(i-last)), n)
				last = i
			}
		}
	}
	return to
}

// unpack reads what pack wrote.
func unpack(started time.Time, packed string) *past {
	from := []byte(packed)
	next := func() uint64 {
		v, n := binary.Uvarint(from)
		from = from[n:]
		return v
	}
	p := &past{started: started}
	var words [pastWords]uint64
	set := next()
	for i := range words {
		if set>>i&1 != 0 {
			words[i] = next()
		}
	}
	p.setWords(&words)
	if len(from) == 0 {
		return p
	}
	p.durations = new([2]durationCounts)
	for j := range p.durations {
		at := 0
		for range next() {
			at += int(next())
			p.durations[j][at] = next()
		}
	}
	return p
}

// pastNames are the evicted names of a shard, oldest first. They are guarded by
// Registry.mu.
type pastNames []pastName

type pastName struct {
	name, packed string
	started      time.Time
	number       uint64 // of the eviction, from 1
}

// maxPastNames bounds what a shard keeps where the hash is uneven: twice what it has
// at most on average.
const maxPastNames = 2 * perShard

// put keeps what a name had counted that was evicted by that number, and lets go of
// what is not one of the last limit evictions.
func (n *pastNames) put(name string, p *past, number uint64, limit int) {
	for len(*n) > 0 && ((*n)[0].number+uint64(limit) <= number || len(*n) >= maxPastNames) {
		(*n)[0] = pastName{}
		*n = (*n)[1:]
	}
	var buf [128]byte
	*n = append(*n, pastName{name, string(p.pack(buf[:0])), p.started, number})
}

// find returns what a name had counted that is one of the last limit evictions of so
// many, or nil.
func (n *pastNames) find(name string, evicted uint64, limit int) *past {
	for _, past := range *n {
		if past.name == name && past.number+uint64(limit) > evicted {
			return unpack(past.started, past.packed)
		}
	}
	return nil
}

// remove takes out a name whose breaker goes on counting.
func (n *pastNames) remove(name string) {
	*n = slices.DeleteFunc(*n, func(old pastName) bool { return old.name == name })
}
