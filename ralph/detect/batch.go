package detect

import (
	"slices"
)

// This file decides what makes two calls, or two hand-offs, items of a batch and no
// repeat of each other.
//
// Calls: numbers count in arguments, since they are what makes items different; see
// ids in mask.go. Ids that are new every time count for nothing, unless they are all
// there is: then they are what the call is about. A call that differs in such ids from
// the last one like it, and goes well, is another item: it is judged as patiently as a
// poll. The tools that Rules.Tools names as [ClassRepeatable] always are.
//
// Hand-offs: two texts are items of one batch if one has other words than the other only
// in the places where a template would have its variables.

// callKey is a hash of a tool and its arguments: calls with the same key are repeats. In
// exact ids count, too.
func callKey(tool, args string) (key, exact uint64) {
	h := mixText(seed, tool)
	key, masked, letters := argsKey(args, ids)
	exact = key
	if masked {
		exact, _, _ = argsKey(args, verbatim)
	}
	if masked && !letters {
		key = exact
	}
	return mix(h, key), mix(h, exact)
}

// nextItem reports whether a call is another item than the last call like it.
func (r *Run) nextItem(e *event, exact uint64) (known, item bool) {
	known, other := r.s.Ring.known(e.call, exact)
	return known, other && !e.failed && !e.Refused
}

// sameBatch reports whether x and y are two items of one batch: the same words but
// for one place, or, with as many words, but for some, and what stands there in the
// one has nothing in common with what stands there in the other. Numbers may.
func sameBatch(x, y []uint16) bool {
	if len(x) == len(y) && apart(x, y) {
		return true
	}
	n := prefix(x, y)
	x, y = x[n:], y[n:]
	n = suffix(x, y)
	x, y = x[:len(x)-n], y[:len(y)-n]
	other := newBag(y)
	return len(x) > 0 && len(y) > 0 && !slices.ContainsFunc(x, other.has)
}

// apart reports whether the words that differ place by place are others altogether,
// numbers aside.
func apart(x, y []uint16) bool {
	differ := false
	var other bag
	for i := range y {
		differ = differ || x[i] != y[i]
		if x[i] != y[i] && x[i]&y[i]&1 == 0 {
			other.add(y[i])
		}
	}
	for i := range x {
		if x[i] != y[i] && x[i]&y[i]&1 == 0 && other.has(x[i]) {
			return false
		}
	}
	return differ
}
