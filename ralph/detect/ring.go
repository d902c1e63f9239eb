package detect

import (
	"time"
)

const (
	ringSize = 33 // calls that a run remembers
	recent   = 20 // of which so many are the window of most rules
)

// ring holds the last calls.
type ring struct {
	Call   [ringSize]uint32 // hashes; together they have 64 bits
	Out    [ringSize]uint32
	Exact  [ringSize]uint16 // a hash in which ids count, to compare equal calls by
	Index  [ringSize]uint16 // of the step, its last digits
	At     [ringSize]uint32 // 1/100 s
	Tool   [ringSize]uint32
	Flags  [ringSize]flags
	Number [ringSize]uint16                // a hash of the numbers of the outcome
	Kept   [recent][2 * keptNumbers]uint16 // some of these numbers, of the last calls
	KeptAt uint8
	Next   uint8
	Len    uint8
}

type flags uint8

const (
	kindMask  flags = 0x7
	failed    flags = 1 << (2 + iota)
	isPoll          // it waits for something, or is another item of a batch
	skipCycle       // it is part of no cycle
	isNew           // it was not in the ring
	isWait          // its words say that it waits
)

const tick = 10 * time.Millisecond

// ticks are enough for 497 days; what comes later is at their end.
func ticks(d time.Duration) uint32 { return uint32(min(d/tick, 1<<32-1)) }

func (r *ring) add(call, exact, out uint64, index uint64, at time.Duration, tool uint32, n figures, f flags) {
	i := r.Next
	r.Call[i], r.Out[i], r.Tool[i], r.Flags[i] = uint32(call), uint32(out), tool, f
	r.Exact[i], r.Index[i] = uint16(exact), uint16(index)
	r.At[i], r.Number[i] = ticks(at), n.Hash
	r.Kept[r.KeptAt] = n.Kept
	r.KeptAt = (r.KeptAt + 1) % recent
	r.Next = (i + 1) % ringSize
	r.Len = min(r.Len+1, ringSize)
}

// again reports whether a call is that of the last time, and had its outcome.
func (r *ring) again(call, out uint64) (sameCall, same bool) {
	i := r.back(0)
	sameCall = r.Len > 0 && r.Call[i] == uint32(call)
	return sameCall, sameCall && r.Out[i] == uint32(out)
}

// index is which step the call at i was, if it is among the last 65,536 of them.
func (r *ring) index(i int, steps uint64) uint64 { return steps - uint64(uint16(steps)-r.Index[i]) }

// known reports whether a call is in the ring, and whether it was another the last
// time but for ids.
func (r *ring) known(call, exact uint64) (known, other bool) {
	for n := range int(r.Len) {
		if i := r.back(n); r.Call[i] == uint32(call) {
			return true, r.Exact[i] != uint16(exact)
		}
	}
	return false, false
}

// figures are the numbers of the outcome that was back calls before the last one. Of one
// that is not recent only the hash is known.
func (r *ring) figures(back int) figures {
	f := figures{Hash: r.Number[r.back(back)]}
	if back < recent {
		f.Kept = r.Kept[(int(r.KeptAt)+2*recent-1-back)%recent]
	}
	return f
}

// back is where the call is that was n before the last one; n < Len.
func (r *ring) back(n int) int { return (int(r.Next) + 2*ringSize - 1 - n) % ringSize }

// key is what the call at i and its outcome are known by.
func (r *ring) key(i int) uint64 { return uint64(r.Call[i])<<32 | uint64(r.Out[i]) }

// among counts the recent calls that match, back to the call of number since.
func (r *Run) among(since uint32, match func(i int) bool) (n uint32) {
	for back := range min(recent, int(r.s.Ring.Len)) {
		if r.s.Made-uint32(back) <= since {
			break
		}
		if match(r.s.Ring.back(back)) {
			n++
		}
	}
	return n
}
