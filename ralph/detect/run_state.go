package detect

import (
	"slices"
	"time"
)

// runState is what a Run knows. It has a fixed size and no pointers, so that it can
// be written as it is; its fields have capitals for encoding/binary.
type runState struct {
	Event        time.Duration // when the last event was
	TaskAt       time.Duration // when the task began
	ProgressAt   time.Duration // when there was progress, or the first token
	Totals       Totals
	UsedTokens   int64 // by the task, as all of Used…
	UsedCost     int64 // 1e-9
	OutputHere   int64 // bytes written in this iteration
	Output       float64
	Confidence   float64 // both are moving averages
	LastCall     uint64
	Reply        similar // the last one
	Fingerprints fingerprints
	Marks        marks
	Ring         ring

	Calls     uint32                // put into the ring, ever; 4e9 are more than anybody makes
	Since     [ringRules]uint32     // Calls from which on a rule counts
	Same      uint32                // calls in a row with the same outcome
	Fast      uint32                // those of them that were not polls
	SameAt    uint32                // when the first was, in ticks
	Varied    uint32                // calls in a row with a new outcome
	CyclesAt  [maxPeriod - 1]uint32 // when each began, in ticks
	Cycles    [maxPeriod - 1]uint16 // calls in a row that were like the one a period before
	Errors    uint32
	Transient uint32 // of the last errors, so many were passing
	UsedIts   uint32
	UsedCalls uint32

	Failures    uint32
	FailedPass  uint32 // of the last failures, so many were passing
	FailedAlike uint32 // of the last failures, so many were of one kind
	CallsHere   uint32
	SinceIts    uint32 // iterations since progress
	SinceSteps  uint32 // steps since progress
	BucketAt    uint32 // Totals.Steps when the bucket last changed
	RateAt      int32  // the interval that is counted in
	Rate        [rateParts]ratePart

	Bucket      uint16
	Blocked     uint16
	Low         uint16 // iterations in a row with little output
	Compactions uint16
	Empty       uint16 // replies in a row that say nothing new
	EmptySaid   uint16 // those of them that were not reasoning
	Confidences uint16

	BucketBy   uint8     // bits of what filled the bucket
	Outputs    uint8     // iterations in the average, as far as that matters
	FailedKind ErrorKind // of the iterations that failed last
	Period     uint8     // of the cycle that the last call was in, or 0
	Questioned bool      // in this iteration
	Called     bool      // in this iteration, but to ask
	Iterates   bool      // the task has had an iteration
}

// bump adds n to a count that stays at its end.
func bump(count *uint16, n uint16) { *count = uint16(min(uint32(*count)+uint32(n), 1<<16-1)) }

type ratePart struct{ Steps, Errors uint16 }

// ring holds the last calls.
type ring struct {
	Call  [ringSize]uint32 // hashes; together they have 64 bits
	Out   [ringSize]uint32
	Exact [ringSize]uint16 // a hash in which ids count, to compare equal calls by
	Index [ringSize]uint16 // of the step, its last digits
	At    [ringSize]uint32 // 1/100 s
	Tool  [ringSize]uint32
	Flags [ringSize]flags
	Next  uint8
	Len   uint8
}

type flags uint8

const (
	kindMask flags = 0x7
	failed   flags = 1 << (2 + iota)
	patient        // a poll, or time has passed before it
	uncycled       // is part of no cycle
	fresh          // was not in the ring
)

const tick = 10 * time.Millisecond

// ticks are enough for 497 days; what comes later is at their end.
func ticks(d time.Duration) uint32 { return uint32(min(d/tick, 1<<32-1)) }

func (r *ring) add(call, exact, out uint64, index uint64, at time.Duration, tool uint32, f flags) {
	i := r.Next
	r.Call[i], r.Out[i], r.Tool[i], r.Flags[i] = uint32(call), uint32(out), tool, f
	r.Exact[i], r.Index[i] = uint16(exact), uint16(index)
	r.At[i] = ticks(at)
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

// back is where the call is that was n before the last one; n < Len.
func (r *ring) back(n int) int { return (int(r.Next) + 2*ringSize - 1 - n) % ringSize }

// key is what the call at i and its outcome are known by.
func (r *ring) key(i int) uint64 { return uint64(r.Call[i])<<32 | uint64(r.Out[i]) }

// ringRules is the number of rules that count in the ring from a point on.
const ringRules = 6

// ringRule is the index of one of them in runState.Since, or -1.
func ringRule(rule Rule) int {
	rules := [ringRules]Rule{RuleWindow, RuleSameError, RulePermission, RuleUnknownTool, RuleAuth, RuleQuota}
	return slices.Index(rules[:], rule)
}
