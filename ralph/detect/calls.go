package detect

import "time"

// call takes in a call of a tool: the rules about repetition.
func (r *Run) call(s *Step, bad bool, now time.Duration) {
	args, out := either(s.Args, s.ArgsBytes), either(s.Output, s.OutputBytes)
	if !s.Refused {
		r.s.Totals.Calls++
		r.s.UsedCalls++
	}
	r.s.CallsHere++
	r.s.Called = r.s.Called || !s.Question
	r.s.Empty, r.s.EmptySaid, r.s.Reply.Words = 0, 0, 0
	r.s.Marks.Reached[RuleEmpty] = 0
	r.s.OutputHere += int64(len(args))
	r.count(RuleCalls, r.d.rules.Calls, r.s.CallsHere)

	class := r.d.rules.Tools[s.Tool]
	tool := uint32(mixText(seed, s.Tool))
	r.d.names.note(tool, s.Tool)
	call, exact := r.key(s.Tool, args)
	f := flags(0)
	switch {
	case s.Refused:
		out = ""
	case bad:
		f |= failed | flags(s.Kind)&kindMask
	}
	outcome := r.outcomeOf(s, call, out, class, bad)
	r.s.LastCall = call
	if class != ClassOrdinary {
		r.s.LastCall = 0
	}
	if class == ClassUnjudged {
		if bad {
			r.remember(call, exact, outcome, now, tool, f|uncycled)
			r.sameError(s.Kind, outcome)
		}
		return
	}

	ring := &r.s.Ring
	sameCall, same := ring.again(call, outcome)
	known, other := ring.known(call, exact)
	if !known {
		f |= fresh
	}
	// A batch looks like that: other ids, and each goes well.
	other = other && !bad && !s.Refused
	if other || bad && s.Kind == ErrorKindTransient || r.waits(class, now) {
		f |= patient
	}
	if class == ClassRepeatable {
		f |= uncycled // pages and lines come round
	}
	r.streak(same, sameCall, f, class, now)
	r.remember(call, exact, outcome, now, tool, f)
	rounds, cycleAt := r.cycle(now)
	r.polls(rounds, cycleAt, now)
	r.count(RuleRepeat, r.d.rules.Repeat, r.s.Fast)
	if r.count(RuleSameCall, r.d.rules.SameCall, r.s.Varied) == LevelNudge {
		r.weak(byVaried)
	}
	if f&patient == 0 && rounds == 0 {
		r.window()
	}
	if bad {
		r.sameError(s.Kind, outcome)
	}
}

// waits reports whether a call is one that waits for something.
func (r *Run) waits(class Class, now time.Duration) bool {
	if class == ClassPoll || class == ClassRepeatable {
		return true
	}
	ring, every := &r.s.Ring, r.d.rules.PollEvery
	return ring.Len > 0 && every > 0 && now-time.Duration(ring.At[ring.back(0)])*tick >= every
}

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
func (r *Run) outcomeOf(s *Step, call uint64, out string, class Class, bad bool) uint64 {
	if s.Refused {
		for n := range int(r.s.Ring.Len) {
			if i := r.s.Ring.back(n); r.s.Ring.Call[i] == uint32(call) {
				return uint64(r.s.Ring.Out[i])
			}
		}
		return prime
	}
	t, m := text{h: mixText(seed, s.Tool)}, numbers
	if class == ClassRepeatable {
		m = ids
	}
	if bad {
		if s.Err != "" {
			out = s.Err
		}
		t.add(out[:min(len(out), maxError)], m)
		return mix(t.h, uint64(s.Exit)<<8|uint64(s.Kind)|0x80)
	}
	t.add(out, m)
	return t.h
}

func (r *Run) remember(call, exact, outcome uint64, now time.Duration, tool uint32, f flags) {
	r.s.Calls++
	r.s.Ring.add(call, exact, outcome, r.s.Totals.Steps, now, tool, f)
}

// streak counts calls in a row. Of polls only the time can tell whether they are too
// many: each makes up for one that was not.
func (r *Run) streak(same, sameCall bool, f flags, class Class, now time.Duration) {
	s := &r.s
	switch {
	case !same:
		s.Same, s.Fast, s.SameAt = 1, 1, ticks(now)
	case f&patient == 0:
		s.Same++
		s.Fast++
	default:
		s.Same++
		s.Fast = max(s.Fast, 2) - 1
	}
	switch {
	case !sameCall || class != ClassOrdinary || f&patient != 0:
		s.Varied = 1
	case !same:
		s.Varied++
	}
}

// polls judges what was repeated patiently, alone or in a cycle.
func (r *Run) polls(rounds uint32, cycleAt, now time.Duration) {
	n, since := uint32(0), time.Duration(r.s.SameAt)*tick
	if r.s.Same > r.s.Fast {
		n = r.s.Same
	}
	if rounds > n && r.cyclePatient() {
		n, since = rounds, cycleAt
	}
	lim := r.d.rules.Poll
	if now-since < r.d.rules.PollFor {
		lim.Trip = never
	}
	r.count(RulePoll, lim, n)
}

// cycle counts, for each period, how many calls in a row were the same as the one a
// period before. It returns how often the shortest cycle has gone round, from twice
// on, and since when.
func (r *Run) cycle(now time.Duration) (rounds uint32, since time.Duration) {
	ring, key, period := &r.s.Ring, uint64(0), 0
	last := ring.back(0)
	for p := 2; p <= maxPeriod; p++ {
		c := &r.s.Cycles[p-2]
		if p >= int(ring.Len) {
			*c = 0
			continue
		}
		i := ring.back(p)
		if ring.Call[i] != ring.Call[last] || ring.Out[i] != ring.Out[last] || ring.Flags[last]&uncycled != 0 {
			*c, r.s.CyclesAt[p-2] = 0, ticks(now)
			continue
		}
		*c = min(*c, 1<<16-2) + 1
		if n := uint32(*c)/uint32(p) + 1; period == 0 && n >= 2 && int(r.s.Same) < p {
			period, rounds, since = p, n, time.Duration(r.s.CyclesAt[p-2])*tick
			for j := range p {
				k := ring.back(j)
				key += ring.key(k)
			}
		}
	}
	r.s.Period = uint8(period)
	if period > 0 && !r.cyclePatient() {
		n := rounds
		if s := r.s.Marks.find(RuleCycle, key, r.s.Calls); s != nil && s.Told {
			n-- // those before the nudge are cleared but for one to compare with
		}
		r.keyed(RuleCycle, key, r.d.rules.Cycle, n)
	}
	return rounds, since
}

// cyclePatient reports whether somebody waits in the cycle that was found.
func (r *Run) cyclePatient() bool {
	for j := range int(r.s.Period) {
		if r.s.Ring.Flags[r.s.Ring.back(j)]&patient != 0 {
			return true
		}
	}
	return false
}

// last is what the last call is known by in the window, and how many were the same
// in a row.
func (r *Run) last() (key uint64, n uint32) {
	if r.s.Ring.Len == 0 {
		return 0, 0
	}
	i := r.s.Ring.back(0)
	return r.s.Ring.key(i), r.s.Same
}

// window counts the same call with the same outcome among the last ones, as far
// back as nobody waited and, if it goes well, nothing new was done: who tests after
// each change goes well, too. Those in a row are RuleRepeat's.
func (r *Run) window() {
	key, _ := r.last()
	ring, since := &r.s.Ring, true
	well := ring.Flags[ring.back(0)]&failed == 0
	n := r.among(RuleWindow, func(i int) bool {
		same := ring.key(i) == key
		since = since && (same || !well || ring.Flags[i]&(fresh|failed) != fresh)
		return same && since
	})
	if s := r.s.Marks.find(RuleWindow, key, r.s.Calls); n > r.s.Same || s != nil && s.Told {
		r.keyed(RuleWindow, key, r.d.rules.Window, n)
	}
}

// among counts the calls in the ring that match, from where the rule counts.
func (r *Run) among(rule Rule, match func(i int) bool) (n uint32) {
	since := r.s.Since[ringRule(rule)]
	for back := range int(r.s.Ring.Len) {
		i := r.s.Ring.back(back)
		if r.s.Calls-uint32(back) <= since {
			break
		}
		if rule == RuleWindow && r.s.Ring.Flags[i]&patient != 0 {
			break
		}
		if match(i) {
			n++
		}
	}
	return n
}

// unrepeat forgets what the rules about repetition have counted.
func (r *Run) unrepeat() {
	s := &r.s
	s.Same, s.Fast, s.Varied = 0, 0, 0
	s.Cycles = [maxPeriod - 1]uint16{}
	s.Since[ringRule(RuleWindow)] = s.Calls
	s.Empty, s.EmptySaid = 0, 0
	s.Marks.forget(RuleRepeat, RulePoll, RuleSameCall, RuleWindow, RuleCycle, RuleEmpty)
}
