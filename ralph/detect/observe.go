package detect

import (
	"time"
)

// event is a step of the agent as the rules see it.
type event struct {
	*Step
	now    time.Duration
	class  Class // of the tool
	failed bool  // it ended in an error, and was not refused
	counts bool  // it says whether what the agent does goes well

	// Of a call of a tool.
	call, outcome  uint64  // hashes
	numbers        figures // of the outcome
	flags          flags
	judged         bool // it can be a repeat
	sameCall, same bool // as the last call, and with the same outcome

	// Of a cycle that it is part of.
	rounds     uint32
	cycleSince time.Duration
}

// act takes in what the agent itself has done.
func (r *Run) act(s *Step, now time.Duration) {
	informs := answers(s)
	bad := !informs && (s.Failed || s.Err != "" || s.Exit != 0 || s.Kind != ErrorKindOther)
	in := r.d.steps.take()
	in.step = *s
	e := &in.event
	*e = event{
		Step: &in.step, now: now, class: r.d.rules.Tools[s.Tool],
		failed: bad && (!s.Refused || s.Tool == ""), counts: !s.Refused && (bad && !runsTests(s) || !bad && s.Tool != ""),
	}
	r.s.LastCall = 0
	if s.Refused {
		r.s.Totals.Refused++
	}
	if s.Tool != "" {
		r.call(e)
	}
	for _, look := range r.d.table.steps {
		look(r, e)
	}
	r.d.steps.giveBack(in)
}

// call puts a call into the ring.
func (r *Run) call(e *event) {
	if !e.Refused {
		r.s.Totals.Calls++
		r.s.Used.Calls++
	}
	tool := uint32(mixText(seed, e.Tool))
	r.d.names.note(tool, e.Tool)
	var exact uint64
	e.call, exact = r.key(e.Tool, textOf(e.Args, e.ArgsBytes))
	e.outcome = r.outcomeOf(e)
	if e.failed {
		e.flags |= failed | flags(e.Kind)&kindMask
	}
	if e.class == ClassOrdinary {
		r.s.LastCall = e.call
	}
	e.judged = e.class != ClassUnjudged
	switch {
	case e.judged:
		r.compare(e, exact)
	case e.failed:
		e.flags |= skipCycle
	default:
		return
	}
	r.s.Made++
	r.s.Ring.add(e.call, exact, e.outcome, r.s.Totals.Steps, e.now, tool, e.numbers, e.flags)
}

// compare compares a call with those in the ring.
func (r *Run) compare(e *event, exact uint64) {
	e.sameCall, e.same = r.s.Ring.again(e.call, e.outcome)
	known, item := r.nextItem(e, exact)
	if !known {
		e.flags |= isNew
	}
	if known && r.waitsAgain(e) {
		e.flags |= isWait
	}
	if item || e.flags&isWait != 0 || e.failed && e.Kind == ErrorKindTransient || r.waits(e.class, e.now) {
		e.flags |= isPoll
	}
	if e.class == ClassRepeatable {
		e.flags |= skipCycle // pages and lines come round
	}
	r.s.Repeat.add(e)
	r.s.SameCall.add(e)
}

// waitsAgain is [saysWait] of a call that is in the ring. One that is the same as the last,
// with the same outcome, has the same words and is not looked at again.
func (r *Run) waitsAgain(e *event) bool {
	if e.same && r.s.Repeat.Same > 1 {
		return r.s.Ring.Flags[r.s.Ring.back(0)]&isWait != 0
	}
	return saysWait(e.Step)
}

// key is [callKey], or what Rules.Key says.
func (r *Run) key(tool, args string) (key, exact uint64) {
	if r.d.rules.Key != nil {
		if text, ok := r.d.rules.Key(tool, args); ok {
			key = mix(mixText(seed, tool), mixText('u', text))
			return key, key
		}
	}
	return callKey(tool, args)
}

// outcomeOf is what a call led to: the text, or the fingerprint of the error. What
// was refused would have led to what it has led to before.
func (r *Run) outcomeOf(e *event) uint64 {
	if e.Refused {
		for n := range int(r.s.Ring.Len) {
			if i := r.s.Ring.back(n); r.s.Ring.Call[i] == uint32(e.call) {
				e.numbers = r.s.Ring.figures(n)
				return uint64(r.s.Ring.Out[i])
			}
		}
		return prime
	}
	out := textOf(e.Output, e.OutputBytes)
	t, m := text{h: mixText(seed, e.Tool)}, numbers
	if e.class == ClassRepeatable {
		m = ids
	}
	if e.failed {
		if e.Err != "" {
			out = e.Err
		}
		t.add(out, m)
		e.numbers = t.numbers.figures()
		return mix(t.h, uint64(e.Exit)<<8|uint64(e.Kind)|0x80)
	}
	t.add(out, m)
	e.numbers = t.numbers.figures()
	return t.h
}

// meter takes in what was used.
func (r *Run) meter(tokens int64, cost float64) error {
	u, err := (Use{Tokens: tokens, Cost: cost}).check("Step.")
	r.s.Used.Tokens = sum(r.s.Used.Tokens, u.Tokens)
	r.s.Used.Cost = sum(r.s.Used.Cost, u.Cost)
	r.s.Totals.Tokens = sum(r.s.Totals.Tokens, u.Tokens)
	if u.Cost > 0 {
		r.s.Totals.Cost += cost
	}
	return err
}
