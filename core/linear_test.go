package core_test

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/blackbox4/switchgear/core"
)

// A history is what some goroutines did to one breaker at once. It is checked
// against the model of model_test.go: there must be an order of the operations,
// each between its call and its return, that the model could have gone through.
//
// The clock is part of that: no operation can read the clock and take effect in
// one step, so each is recorded with the readings before and after it, and the
// model may take it at any reading in between.

const (
	linearWorkers = 4
	opsPerWorker  = 10
	tick          = time.Millisecond
)

type opKind uint8

const (
	opAllow opKind = iota
	opSettle
	opReset
	opUpdate
	opState
	opSnapshot
	opTotals // at rest, after all others
	opCredit // of a time window, see linearState
)

func (k opKind) String() string {
	return [...]string{"allow", "settle", "reset", "update", "state", "snapshot", "totals", "credit"}[k]
}

type linearInput struct {
	kind    opKind
	id      int // of the permit
	outcome core.Outcome
	slow    [2]bool // may it have been fast, may it have been slow
	after   time.Duration
	calls   int           // opUpdate: the window
	lo, hi  time.Duration // the clock before and after
}

type linearOutput struct {
	admitted bool
	state    core.State
	cause    core.Cause
	retry    time.Duration // refused by an open breaker
	told     bool          // late is known
	late     bool
	view     modelView
	totals   core.Totals
}

// linearState is a state of the specification: the model and what it leaves to
// others.
//
// A settlement in a time window is two operations with the same call and return:
// the call is credited, and later the rules are looked at. A rate may open the
// breaker if it was reached at a moment in between, whatever it is at the end; for
// a rate that was never reached there is no order.
type linearState struct {
	model

	sums     core.Totals
	calls    int // the window's size
	credited [maxPermits]credit
}

// credit is a call that is credited to a time window and not yet settled.
type credit struct {
	mark             string // "" if it is none
	failures, slowly bool   // the rule was broken at a moment since
}

// linearBudget is how many steps of the model the search for an order may take. A
// history that needs more is not decided, on any machine.
const linearBudget = 2_000_000

// linearModel counts the steps that it takes.
func linearModel(base core.Config, spent *atomic.Int64) porcupine.Model {
	seed := maphash.MakeSeed()
	spec := porcupine.NondeterministicModel{
		Init: func() []any { return []any{linearState{calls: base.Window.Calls}} },
		Step: func(state, input, output any) []any {
			in, out := input.(linearInput), output.(linearOutput)
			var next []any
			var before linearState // most readings lead to the same state
			for now := in.lo; now <= in.hi; now += tick {
				for isSlow, possible := range in.slow {
					if !possible {
						continue
					}
					if spent.Add(1) > linearBudget {
						return nil
					}
					for _, by := range ratesThatMayOpen(&base, &in) {
						s := state.(linearState)
						if s.take(&base, &in, &out, now, isSlow == 1, by) && (next == nil || s != before) {
							next, before = append(next, s), s
						}
					}
				}
			}
			return next
		},
		Equal: func(a, b any) bool { return a.(linearState) == b.(linearState) },
		Hash:  func(s any) uint64 { return maphash.Comparable(seed, s.(linearState)) },
		DescribeOperation: func(input, output any) string {
			return describeLinear(input.(linearInput), output.(linearOutput))
		},
		DescribeState: func(s any) string { return fmt.Sprintf("%+v", s) },
	}
	return spec.ToModel()
}

// ratesThatMayOpen are the rates by which a step may open, if they were reached.
func ratesThatMayOpen(base *core.Config, in *linearInput) []core.Cause {
	if in.kind == opSettle && base.Window.For > 0 {
		return []core.Cause{core.NoCause, core.CauseFailureRate, core.CauseSlowRate}
	}
	return []core.Cause{core.NoCause}
}

// credit credits the call of a settlement to a time window.
func (s *linearState) credit(c *core.Config, now time.Duration, id int, mark string) {
	s.roll(c, now)
	if s.state != core.Closed || s.permits[id] != inPhase || mark == "" {
		return
	}
	s.marks += stamp(c, now, mark)
	s.credited[id].mark = mark
	for i := range s.credited {
		if p := &s.credited[i]; p.mark != "" {
			rule := s.model
			rule.streak = 0
			p.failures = p.failures || markBit(p.mark, failedMark) == 1 && rule.broken(c, failedMark) == core.CauseFailureRate
			p.slowly = p.slowly || markBit(p.mark, slowMark) == 1 && rule.broken(c, slowMark) == core.CauseSlowRate
		}
	}
}

// decide is settle in a time window, where a rate may have been reached.
func (s *linearState) decide(c *core.Config, now time.Duration, in *linearInput, mark string, by core.Cause) (was standing, ok bool) {
	s.roll(c, now)
	p := s.credited[in.id]
	s.credited[in.id] = credit{}
	if s.state == core.Closed && s.permits[in.id] == inPhase && mark != "" && p.mark != mark || p.mark != "" && p.mark != mark {
		return 0, false // it has to be credited first, and as what it is
	}
	if p.mark == "" {
		return s.settle(c, now, in.id, mark, in.after), by == core.NoCause
	}
	was, s.permits[in.id] = s.permits[in.id], notOut
	if was != inPhase {
		return inPhase, by == core.NoCause // credited in time, so not late
	}
	s.streak = (s.streak + 1) * markBit(mark, failedMark)
	switch {
	case markBit(mark, failedMark) == 1 && c.FailureThreshold > 0 && s.streak >= c.FailureThreshold:
		s.open(c, core.CauseConsecutiveFailures, now, in.after)
		return was, by == core.NoCause
	case by == core.CauseFailureRate && !p.failures || by == core.CauseSlowRate && !p.slowly:
		return was, false
	case by != core.NoCause:
		s.open(c, by, now, in.after)
	}
	return was, true
}

// take makes one step and reports whether it gives that output.
func (s *linearState) take(base *core.Config, in *linearInput, out *linearOutput, now time.Duration, isSlow bool, by core.Cause) bool {
	c := *base
	if c.Window.For == 0 {
		c.Window.Calls = s.calls
	}
	switch in.kind {
	case opAllow:
		cause := s.allow(&c, now, in.id)
		if cause == core.NoCause {
			s.sums.Calls++
			return out.admitted
		}
		s.sums.Refused++
		return !out.admitted && out.cause == cause && out.state == s.state && (s.state != core.Open || out.retry == s.until)
	case opSettle:
		mark := markOf(in.outcome, isSlow)
		var was standing
		if c.Window.For == 0 {
			was = s.settle(&c, now, in.id, mark, in.after)
		} else {
			var ok bool
			if was, ok = s.decide(&c, now, in, mark, by); !ok {
				return false
			}
		}
		countSettled(&s.sums, was, mark)
		return !out.told || out.late == (was != inPhase)
	case opCredit:
		s.roll(&c, now)
		s.credit(&c, now, in.id, markOf(in.outcome, isSlow))
	case opReset:
		s.reset(&c, now)
	case opUpdate:
		to := c
		to.Window.Calls = in.calls
		s.update(&c, &to, now)
		s.calls = in.calls
	case opState:
		m := s.model // a look changes nothing
		m.roll(&c, now)
		return m.state == out.state
	case opSnapshot, opTotals:
		m := s.model
		m.roll(&c, now)
		if m.view(&c, now) != out.view {
			return false
		}
		if in.kind == opTotals {
			// A probe that only time has lost is not counted yet.
			want := m.sums(s.sums)
			ahead := min(want.Lost, want.Lost-out.totals.Lost)
			want.Lost -= ahead
			return out.totals == want
		}
	}
	return true
}

func markOf(o core.Outcome, isSlow bool) string {
	switch {
	case o == core.Ignored:
		return ""
	case o == core.Success && isSlow:
		return slowMark
	case o == core.Success:
		return okMark
	case isSlow:
		return bothMarks
	}
	return failedMark
}

func describeLinear(in linearInput, out linearOutput) string {
	at := fmt.Sprintf("@%d-%d", in.lo/tick, in.hi/tick)
	switch in.kind {
	case opAllow:
		if out.admitted {
			return fmt.Sprintf("%s allow → permit %d", at, in.id)
		}
		return fmt.Sprintf("%s allow → %v, %v, retry %d", at, out.state, out.cause, out.retry/tick)
	case opSettle:
		return fmt.Sprintf("%s settle %d %v slow %v after %v → told %t late %t", at, in.id, in.outcome, in.slow, in.after, out.told, out.late)
	case opUpdate:
		return fmt.Sprintf("%s window %d", at, in.calls)
	case opState:
		return fmt.Sprintf("%s state → %v", at, out.state)
	case opSnapshot:
		return fmt.Sprintf("%s snapshot → %+v", at, out.view)
	case opTotals:
		return fmt.Sprintf("%s totals → %+v %+v", at, out.view, out.totals)
	case opCredit:
		return fmt.Sprintf("%s credit %d", at, in.id)
	case opReset:
	}
	return at + " " + in.kind.String()
}

// linearConfig draws a Config with its times in ticks.
func linearConfig(draw drawFunc) core.Config {
	c := smallConfig(draw)
	if c.Window.For > 0 {
		c.Window.For = time.Hour // no call leaves it
	}
	c.Timeout = time.Duration(1+draw(3)) * tick
	c.MaxTimeout = c.Timeout * 2
	c.ProbeTimeout = time.Duration(2+draw(4)) * tick
	c.TimeoutFactor = pickFrom(draw, 1.0, 2)
	c.MinimumCalls = min(c.MinimumCalls, 2)
	if c.SlowAfter > 0 {
		c.SlowAfter = pickFrom(draw, tick, 2*tick)
	}
	if draw(3) > 0 { // two thirds have neither a duration nor, below, a hook: the short paths
		c.SlowAfter, c.SlowRateThreshold = 0, 0
	}
	return readsWindow(c)
}

// heldPermit is a permit of one worker and when it was issued.
type heldPermit struct {
	id     int
	permit *core.Permit
	lo, hi time.Duration
}

type lateNoteKey struct{}

// told is filled by the Settled hook, on whatever goroutine delivers it.
type lateNote struct {
	known, late bool
}

// record makes one history.
func recordHistory(seed uint64) (core.Config, []porcupine.Operation) {
	draw := seeded(seed)
	cfg := linearConfig(draw)
	if cfg.SlowAfter > 0 || draw(3) == 0 {
		cfg.Hooks.Settled = func(ctx context.Context, s core.Settlement) {
			if t, ok := ctx.Value(lateNoteKey{}).(*lateNote); ok {
				t.known, t.late = true, s.Late
			}
		}
	}
	withUpdates := draw(4) == 0 && toSet(cfg).Window.Calls > 0
	withResets := draw(4) == 0

	// The clock stands still while no goroutine advances it, and yields, so that
	// operations overlap wherever they read it.
	var clock, stamp atomic.Int64
	var yields atomic.Uint32
	epoch := time.Unix(0, 0)
	cfg.Now = func() time.Time {
		now := clock.Load()
		if yields.Add(1)%3 == 0 {
			runtime.Gosched()
		}
		return epoch.Add(time.Duration(now))
	}
	b := core.MustNew("linear", toSet(cfg))

	var mu sync.Mutex
	var history []porcupine.Operation
	var fills []func()
	run := func(worker int, in linearInput, f func(*linearInput, *linearOutput)) (at int) {
		op := porcupine.Operation{ClientId: worker, Call: stamp.Add(1)}
		in.lo = time.Duration(clock.Load())
		var out linearOutput
		f(&in, &out)
		in.hi = time.Duration(clock.Load())
		op.Return = stamp.Add(1)
		if in.slow == [2]bool{} {
			in.slow[0] = true
		}
		op.Input, op.Output = in, out
		mu.Lock()
		defer mu.Unlock()
		history = append(history, op)
		return len(history) - 1
	}

	var arrived atomic.Int32
	var wg sync.WaitGroup
	for worker := range linearWorkers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(worker)+100))
			var held []heldPermit
			arrived.Add(1)
			for arrived.Load() < linearWorkers {
				runtime.Gosched()
			}
			for i := range opsPerWorker {
				if rng.IntN(4) == 0 {
					clock.Add(int64(tick) * int64(1+rng.IntN(2)))
				}
				if rng.IntN(3) == 0 {
					runtime.Gosched()
				}
				id := worker*opsPerWorker + i
				switch op := rng.IntN(20); {
				case op == 0 && withResets:
					run(worker, linearInput{kind: opReset}, func(*linearInput, *linearOutput) { b.Reset() })
				case op == 1 && withUpdates && cfg.Window.For == 0:
					to := cfg
					to.Window.Calls = max(1+rng.IntN(6), cfg.MinimumCalls)
					run(worker, linearInput{kind: opUpdate, calls: to.Window.Calls}, func(_ *linearInput, _ *linearOutput) {
						if err := b.Update(to); err != nil {
							panic(err)
						}
					})
				case op == 2:
					run(worker, linearInput{kind: opState}, func(_ *linearInput, out *linearOutput) { out.state = b.State() })
				case op == 3:
					run(worker, linearInput{kind: opSnapshot}, func(_ *linearInput, out *linearOutput) {
						snap := b.Snapshot()
						out.view = viewOf(&snap, epoch)
					})
				case len(held) == 0 || op < 9 && len(held) < 4:
					run(worker, linearInput{kind: opAllow, id: id}, func(in *linearInput, out *linearOutput) {
						p, err := b.Allow(context.Background())
						if refusal, ok := errors.AsType[*core.OpenError](err); ok {
							out.state, out.cause, out.retry = refusal.State, refusal.Cause, refusal.RetryAt.Sub(epoch)
							return
						}
						out.admitted = true
						held = append(held, heldPermit{id, &p, in.lo, time.Duration(clock.Load())})
					})
				default:
					k := rng.IntN(len(held))
					h := held[k]
					held = append(held[:k:k], held[k+1:]...)
					in := linearInput{kind: opSettle, id: h.id, outcome: pickFrom(rng.IntN, core.Success, core.Success, core.Failure, core.Failure, core.Failure, core.Ignored)}
					if in.outcome == core.Failure && rng.IntN(4) == 0 {
						in.after = 3 * tick
					}
					note := new(lateNote)
					ctx := context.WithValue(context.Background(), lateNoteKey{}, note)
					at := run(worker, in, func(in *linearInput, _ *linearOutput) {
						if in.after > 0 {
							h.permit.Report(ctx, core.Failure, core.RetryAfter(errSick, in.after))
						} else {
							h.permit.Settle(ctx, in.outcome)
						}
						hi := time.Duration(clock.Load())
						shortest, longest := max(in.lo-h.hi, 0), hi-h.lo
						in.slow = [2]bool{
							cfg.SlowAfter == 0 || shortest <= cfg.SlowAfter,
							cfg.SlowAfter > 0 && longest > cfg.SlowAfter,
						}
					})
					mu.Lock()
					fills = append(fills, func() {
						out := history[at].Output.(linearOutput)
						out.told, out.late = note.known, note.late
						history[at].Output = out
					})
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	b.WaitForHooks()
	for _, fill := range fills {
		fill()
	}
	if cfg.Window.For > 0 {
		for _, op := range history {
			if in := op.Input.(linearInput); in.kind == opSettle {
				in.kind = opCredit
				history = append(history, porcupine.Operation{ClientId: op.ClientId + linearWorkers + 1, Call: op.Call, Return: op.Return, Input: in, Output: linearOutput{}})
			}
		}
	}
	run(linearWorkers, linearInput{kind: opTotals}, func(_ *linearInput, out *linearOutput) {
		snap := b.Snapshot()
		out.view, out.totals = viewOf(&snap, epoch), snap.Totals
	})
	return cfg, history
}

// histories is how many to check: SWITCHGEAR_HISTORIES, or what a plain run has
// time for.
func histories(t *testing.T, usual, short int) int {
	if s := os.Getenv("SWITCHGEAR_HISTORIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("SWITCHGEAR_HISTORIES: %v", err)
		}
		return n
	}
	if testing.Short() || underRace() {
		return short
	}
	return usual
}

// TestLinear checks histories of permits, resets, updates of the window and
// readings. With -tags perturb the engine yields between its loads and swaps,
// which makes lost races some hundred times likelier.
func TestLinear(t *testing.T) {
	t.Parallel()
	n := histories(t, 2000, 800)
	unknown, offset := 0, rand.Uint64N(1<<40)
	t.Logf("%d histories of %d×%d operations, seeds from %d", n, linearWorkers, opsPerWorker, offset)
	for i := range n {
		seed := offset + uint64(i)
		cfg, history := recordHistory(seed)
		var spent atomic.Int64
		model := linearModel(cfg, &spent)
		result, info := porcupine.CheckOperationsVerbose(model, history, 0)
		switch {
		case result == porcupine.Ok:
		case spent.Load() > linearBudget:
			unknown++
		default:
			path := filepath.Join(t.ArtifactDir(), "linear.html")
			if err := porcupine.VisualizePath(model, info, path); err != nil {
				t.Log(err)
			}
			t.Fatalf("history %d is not linearizable; drawn in %s (go test -artifacts keeps it)\n%s\n%s", seed, path, configLine(cfg), longestOrder(history, info))
		}
	}
	t.Logf("%d need more than %d steps", unknown, linearBudget)
	if unknown > max(n/50, 3) {
		t.Errorf("%d of %d histories are not decided by %d steps", unknown, n, linearBudget)
	}
}

// longestOrder lists a history that failed, with the longest order that was possible
// marked by its numbers.
func longestOrder(history []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, p := range partition {
			if len(p) > len(longest) {
				longest = p
			}
		}
	}
	order := make(map[int64]int)
	for i, op := range longest {
		order[op.Call] = i + 1
	}
	s := ""
	for _, op := range history {
		place := "  -"
		if n := order[op.Call]; n > 0 {
			place = fmt.Sprintf("%3d", n)
		}
		s += fmt.Sprintf("%s  [%3d %3d] worker %d: %s\n", place, op.Call, op.Return, op.ClientId, describeLinear(op.Input.(linearInput), op.Output.(linearOutput)))
	}
	return s
}
