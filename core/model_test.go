package core_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"pgregory.net/rapid"
)

// model is a breaker as doc.go describes it, one operation at a time, as if a timer had fired at each deadline. It is a plain
// comparable value: linear_test.go explores many of them. Times are durations on
// the breaker's clock. Its functions are kept to 60 lines, so that they can be
// checked by eye against the page.
type model struct {
	state                             core.State
	cause                             core.Cause
	since, until                      time.Duration // until: the break is over
	next                              time.Duration // half-open, after a loss: a further probe may go out
	opens, streak, passed, slow, lost int
	rounds                            int    // further probes since a loss, plus one; 0 without a loss
	marks                             string // closed: the window, oldest first; see stamp
	probes, away                      string // half-open: the permits that are out, and that are lost, oldest first
	issued                            [maxPermits]time.Duration
	permits                           [maxPermits]standing
}

type standing uint8 // of a permit

const (
	notOut    standing = iota
	inPhase            // the phase that issued it lasts
	phaseOver          // that phase has ended, or the permit was a probe that is no longer awaited
)

// A mark is what a call leaves in a window; "" is an ignored call.
const okMark, failedMark, slowMark, bothMarks = "\x00", "\x01", "\x02", "\x03"

func (m *model) enter(s core.State, cause core.Cause, at time.Duration) {
	opens := [...]int{core.Closed: 0, core.Open: m.opens + 1, core.HalfOpen: m.opens}[s]
	*m = model{state: s, cause: cause, since: at, opens: opens, permits: m.permits, lost: m.lost}
	for i, p := range m.permits {
		m.permits[i] = min(2*p, phaseOver)
	}
}

func (m *model) open(c *core.Config, cause core.Cause, at, after time.Duration) {
	m.enter(core.Open, cause, at)
	length := float64(c.Timeout) * math.Pow(c.TimeoutFactor, float64(m.opens-1))
	m.until = at + time.Duration(min(max(length, float64(after)), float64(c.MaxTimeout)))
}

func (m *model) roll(c *core.Config, now time.Duration) {
	m.slide(c, now)
	for m.probes != "" && now >= m.issued[m.probes[0]]+c.ProbeTimeout {
		lost := m.probes[:1]
		m.probes, m.away, m.lost = m.probes[1:], m.away+lost, m.lost+1
		if m.rounds == 0 {
			m.wait(c, m.issued[lost[0]]+c.ProbeTimeout)
		}
	}
	if m.state == core.Open && now >= m.until {
		m.enter(core.HalfOpen, core.CauseTimeoutElapsed, m.until)
	}
}

// wait lets a further probe out as if another break began at a time.
func (m *model) wait(c *core.Config, at time.Duration) {
	length := float64(c.Timeout) * math.Pow(c.TimeoutFactor, float64(m.opens+m.rounds))
	m.next, m.rounds = at+time.Duration(min(length, float64(c.MaxTimeout))), m.rounds+1
}

// over are the lost probes that would have to be given up for a further one.
func (m *model) over(c *core.Config) string {
	return m.away[:min(max(len(m.probes)+len(m.away)-2*c.HalfOpenMaxCalls+1, 0), len(m.away))]
}

// nextAt is when a further probe may go out if there is a place for it.
func (m *model) nextAt(c *core.Config) (at time.Duration) {
	if m.rounds > 0 {
		at = m.next
	}
	for _, id := range m.over(c) {
		at = max(at, m.issued[id]+max(c.MaxTimeout, 10*time.Minute))
	}
	return at
}

// retryAt is when the next probe goes out at the latest, once there is a wait.
func (m *model) retryAt(c *core.Config) time.Duration {
	at := m.nextAt(c)
	if at > 0 && len(m.probes) >= c.HalfOpenMaxCalls {
		at = max(at, m.issued[m.probes[0]]+c.ProbeTimeout)
	}
	return at
}

func (m *model) allow(c *core.Config, now time.Duration, id int) (refused core.Cause) {
	m.roll(c, now)
	if m.state == core.Open {
		return m.cause
	}
	if m.state == core.HalfOpen {
		if len(m.probes) >= c.HalfOpenMaxCalls {
			return core.CauseProbesOut
		} else if now < m.nextAt(c) {
			return core.CauseProbeLost
		}
		m.away = m.away[len(m.over(c)):] // they are no longer waited for, and still count
		if m.probes += string(rune(id)); m.rounds > 0 {
			m.wait(c, now)
		}
		m.issued[id] = now
	}
	m.permits[id] = inPhase
	return core.NoCause
}

func (m *model) settle(c *core.Config, now time.Duration, id int, mark string, after time.Duration) (was standing) {
	m.roll(c, now)
	was, m.permits[id] = m.permits[id], notOut
	if was != inPhase {
		return was
	}
	if m.state == core.HalfOpen {
		if mark == "" && m.rounds > 1 && strings.HasSuffix(m.probes, string(rune(id))) {
			m.next, m.rounds = now, m.rounds-1 // the further probe has used up no wait
		}
		m.probes, m.away = strings.Replace(m.probes, string(rune(id)), "", 1), strings.Replace(m.away, string(rune(id)), "", 1)
		m.passed, m.slow, m.issued[id] = m.passed+len(mark)-markBit(mark, failedMark), m.slow+markBit(mark, slowMark), 0
		m.rounds *= 1 - min(len(mark)-markBit(mark, failedMark), 1)
	} else if mark != "" {
		m.streak = (m.streak + 1) * markBit(mark, failedMark)
		m.marks += stamp(c, now, mark)
	}
	m.slide(c, now)
	if cause := m.broken(c, mark); mark > okMark && cause != core.NoCause {
		m.open(c, cause, now, after)
	} else if m.state == core.HalfOpen && mark != "" && m.passed >= c.SuccessThreshold {
		m.enter(core.Closed, core.CauseProbesPassed, now)
	}
	return was
}

// The rules, and what else the script runner needs of the model, follow.

const maxPermits = 40

func markBit(mark, of string) int {
	if mark != "" && mark[0]&of[0] != 0 {
		return 1
	}
	return 0
}

const stampLen = 9

// stamp is a mark and the tenth of a time window in which it was left.
func stamp(c *core.Config, now time.Duration, mark string) string {
	return mark + fmt.Sprintf("%08x", tenth(c, now))
}

func tenth(c *core.Config, now time.Duration) int {
	if c.Window.For == 0 {
		return 0
	}
	return int(now / (c.Window.For / 10))
}

// slide drops from the window what has left it by now.
func (m *model) slide(c *core.Config, now time.Duration) {
	if c.Window.For == 0 {
		m.marks = m.marks[max(len(m.marks)-stampLen*c.Window.Calls, 0):]
	}
	for oldest := fmt.Sprintf("%08x", max(tenth(c, now)-9, 0)); m.marks != "" && m.marks[1:stampLen] < oldest; {
		m.marks = m.marks[stampLen:]
	}
}

// broken returns the first rule that is broken by a call with that mark.
func (m *model) broken(c *core.Config, mark string) core.Cause {
	w := m.window()
	reached := func(of string, rate float64, part int) bool {
		return markBit(mark, of) == 1 && rate > 0 && w.Calls >= c.MinimumCalls && float64(part) > rate*float64(w.Calls)-1e-6
	}
	switch {
	case m.state == core.HalfOpen && markBit(mark, failedMark) == 1:
		return core.CauseProbeFailed
	case m.state == core.HalfOpen && markBit(mark, slowMark) == 1 && c.SlowRateThreshold > 0:
		return core.CauseProbeSlow
	case m.state == core.HalfOpen:
		return core.NoCause
	case c.FailureThreshold > 0 && m.streak >= c.FailureThreshold:
		return core.CauseConsecutiveFailures
	case reached(failedMark, c.FailureRateThreshold, w.Failures):
		return core.CauseFailureRate
	case reached(slowMark, c.SlowRateThreshold, w.Slow):
		return core.CauseSlowRate
	}
	return core.NoCause
}

func (m *model) window() core.Counts {
	if m.state == core.HalfOpen {
		return core.Counts{Calls: m.passed, Slow: m.slow, Consecutive: m.passed}
	}
	n := func(mark string) int { return strings.Count(m.marks, mark) + strings.Count(m.marks, bothMarks) }
	return core.Counts{Calls: len(m.marks) / stampLen, Failures: n(failedMark), Slow: n(slowMark), Consecutive: m.streak}
}

// reset is Breaker.Reset.
func (m *model) reset(c *core.Config, now time.Duration) {
	m.roll(c, now)
	m.enter(core.Closed, core.CauseManualReset, now)
}

// update is Breaker.Update from one config to another.
func (m *model) update(c, to *core.Config, now time.Duration) {
	m.roll(c, now)
	m.slide(c, now)
	if to.Window.Calls > 0 {
		m.slide(to, now)
	}
}

// countSettled adds a settlement to the totals.
func countSettled(t *core.Totals, was standing, mark string) {
	t.Slow += uint64(markBit(mark, slowMark))
	if was != inPhase {
		t.Late++
	}
	switch {
	case mark == "":
		t.Ignored++
	case markBit(mark, failedMark) == 1:
		t.Failures++
	default:
		t.Successes++
	}
}

// sums completes totals with what the model tells of lost probes.
func (m *model) sums(t core.Totals) core.Totals {
	t.Lost = uint64(m.lost)
	t.InFlight = int64(t.Calls - t.Successes - t.Failures - t.Ignored)
	return t
}

// view is what Snapshot shows of a model that was rolled to its time.
type modelView struct {
	State        core.State
	Cause        core.Cause
	Since, Until time.Duration
	Opens        int
	Window       core.Counts
	Out, Lost    int
}

func (m *model) view(c *core.Config, now time.Duration) modelView {
	until := m.until
	if m.state == core.HalfOpen {
		until = m.retryAt(c)
		if until <= now {
			until = 0
		}
	}
	return modelView{m.state, m.cause, m.since, until, m.opens, m.window(), len(m.probes), len(m.away)}
}

func viewOf(s *core.Snapshot, epoch time.Time) modelView {
	v := modelView{s.State, s.Cause, s.Since.Sub(epoch), 0, s.Opens, s.Window, s.ProbesOut, s.ProbesLost}
	if !s.RetryAt.IsZero() {
		v.Until = s.RetryAt.Sub(epoch)
	}
	return v
}

// draws gives numbers in [0, n): drawn by rapid, decoded from a fuzz input or
// from a random source.
type drawFunc func(n int) int

func pickFrom[T any](draw drawFunc, from ...T) T { return from[draw(len(from))] }

// smallConfig draws a Config whose corners are a few calls away. Every field
// that the model looks at is set, none is left to a default.
func smallConfig(draw drawFunc) core.Config {
	c := core.Config{
		FailureThreshold:     pickFrom(draw, -1, 1, 2, 3, 4),
		FailureRateThreshold: pickFrom(draw, -1, 0.25, 1.0/3, 0.5, 0.75, 1),
		Window:               core.Window{Calls: 1 + draw(6)},
		Timeout:              pickFrom(draw, time.Second, 2*time.Second, 3*time.Second),
		TimeoutFactor:        pickFrom(draw, 1.0, 2, 3),
		HalfOpenMaxCalls:     1 + draw(3),
		SuccessThreshold:     1 + draw(3),
		ProbeTimeout:         pickFrom(draw, time.Second, 2*time.Second, 3*time.Second),
		SlowAfter:            pickFrom(draw, 0, time.Second, 2*time.Second),
	}
	c.MinimumCalls = 1 + draw(min(c.Window.Calls, 4))
	if draw(3) == 0 {
		c.Window = core.Window{For: pickFrom(draw, time.Second, 5*time.Second, 30*time.Second, 20*time.Minute)}
	}
	c.MaxTimeout = c.Timeout * pickFrom[time.Duration](draw, 1, 2, 5)
	if c.SlowAfter > 0 {
		c.SlowRateThreshold = pickFrom(draw, 0, 0.25, 0.5, 1)
	}
	return readsWindow(c)
}

// readsWindow returns c with the window that there is where no rate looks at it.
func readsWindow(c core.Config) core.Config {
	if c.FailureRateThreshold < 0 && c.SlowRateThreshold == 0 {
		c.Window, c.MinimumCalls = core.Window{Calls: 100}, 20
	}
	return c
}

// toSet returns a drawn Config as New and Update accept it.
func toSet(c core.Config) core.Config {
	if c.FailureRateThreshold < 0 && c.SlowRateThreshold == 0 {
		c.Window, c.MinimumCalls = core.Window{}, 0
	}
	return c
}

// runner runs a script on a breaker and on the model and compares all that can
// be seen after each operation.
type modelRunner struct {
	t     interface{ Fatalf(string, ...any) }
	cfg   core.Config
	b     *core.Breaker
	m     model
	sums  core.Totals
	times [3]time.Duration // by state
	epoch time.Time

	permits [maxPermits]*core.Permit
	started [maxPermits]time.Duration
	timed   [maxPermits]bool
	held    []int
	free    []int // the last one is next; a permit settled keeps its place until then

	hooked      bool
	refusals    int
	settled     []core.Settlement
	transitions []core.Transition
	script      []string
}

func newRunner(t interface{ Fatalf(string, ...any) }, draw drawFunc) *modelRunner {
	r := &modelRunner{t: t, cfg: smallConfig(draw), epoch: time.Now()}
	// Without a Settled hook and a duration the breaker takes its short paths.
	if r.hooked = draw(2) == 1; r.hooked {
		r.cfg.Hooks = core.Hooks{
			Transition: func(_ context.Context, t core.Transition) { r.transitions = append(r.transitions, t) },
			Refused:    func(context.Context, *core.OpenError) { r.refusals++ },
			Settled:    func(_ context.Context, s core.Settlement) { r.settled = append(r.settled, s) },
		}
	}
	b, err := core.New("model", toSet(r.cfg))
	if err != nil {
		t.Fatalf("config %+v: %v", r.cfg, err)
	}
	r.b = b
	for i := range maxPermits {
		r.free = append(r.free, maxPermits-1-i)
	}
	return r
}

func (r *modelRunner) now() time.Duration { return time.Since(r.epoch) }

func (r *modelRunner) fatalf(format string, args ...any) {
	r.t.Fatalf("%s\nconfig: %+v\nscript:\n  %s", fmt.Sprintf(format, args...), configLine(r.cfg), strings.Join(r.script, "\n  "))
}

func configLine(c core.Config) string {
	return fmt.Sprintf("streak %d rate %.2f slow %.2f after %v min %d window %v/%v timeout %v×%v≤%v probes %d pass %d probe timeout %v hooks %t",
		c.FailureThreshold, c.FailureRateThreshold, c.SlowRateThreshold, c.SlowAfter, c.MinimumCalls, c.Window.Calls, c.Window.For,
		c.Timeout, c.TimeoutFactor, c.MaxTimeout, c.HalfOpenMaxCalls, c.SuccessThreshold, c.ProbeTimeout, c.Hooks.Settled != nil)
}

// step runs one operation, compares, and names it for the report.
func (r *modelRunner) step(draw drawFunc) {
	r.script = append(r.script, "")
	line := &r.script[len(r.script)-1]
	ctx := context.Background()
	switch op := draw(16); {
	case op < 6:
		*line = r.allow(ctx)
	case op < 11:
		if len(r.held) == 0 {
			*line = r.allow(ctx)
			break
		}
		*line = r.settle(ctx, draw(len(r.held)), draw)
	case op < 14:
		d := pickFrom(draw, 500*time.Millisecond, time.Second, time.Nanosecond, time.Second-time.Nanosecond, 2*time.Second, 3*time.Second, 20*time.Second, 10*time.Minute)
		*line = "sleep " + d.String()
		r.elapse(r.now(), r.now()+d)
		time.Sleep(d)
	case op == 14:
		switch draw(7) {
		case 4, 5, 6:
			*line = r.record(ctx, draw)
		case 0:
			*line = "reset"
			r.b.Reset()
			r.m.reset(&r.cfg, r.now())
		case 1:
			*line = "allow, context done"
			done, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := r.b.Allow(done); !errors.Is(err, context.Canceled) {
				r.fatalf("Allow with a context that is done: %v", err)
			}
		case 2:
			if len(r.free) == 0 {
				break
			}
			if i := r.free[len(r.free)-1]; r.permits[i] != nil { // settled before
				*line = fmt.Sprintf("settle %d again", i)
				r.permits[i].Settle(ctx, core.Failure)
				r.permits[i].Done(ctx, errors.New("again"))
			}
		case 3:
			*line = "reads"
			_, _, _ = r.b.Health(), r.b.Explain(), r.b.State()
		}
	default:
		to := smallConfig(draw)
		to.Hooks = r.cfg.Hooks
		if draw(2) == 0 { // the window alone
			window := to.Window
			to = r.cfg
			to.Window = window
		}
		to = readsWindow(to)
		// What becomes of a window that changes its kind, or its tenths, is shown by
		// tests of their own.
		if to.Window.For > 0 || r.cfg.Window.For > 0 {
			to.Window = r.cfg.Window
			if to.FailureRateThreshold < 0 && to.SlowRateThreshold == 0 {
				to.FailureRateThreshold = 1
			}
		}
		if to.Window.Calls > 0 {
			to.MinimumCalls = min(to.MinimumCalls, to.Window.Calls)
		}
		*line = "update to " + configLine(to)
		if err := r.b.Update(toSet(to)); err != nil {
			r.fatalf("update: %v", err)
		}
		r.m.update(&r.cfg, &to, r.now())
		r.cfg = to
	}
	r.compare()
}

func (r *modelRunner) allow(ctx context.Context) string {
	if len(r.free) == 0 {
		return "allow: the script holds enough"
	}
	id := r.free[len(r.free)-1]
	p, err := r.b.Allow(ctx)
	want := r.m.allow(&r.cfg, r.now(), id)
	if err != nil {
		r.sums.Refused++
		refusal, ok := errors.AsType[*core.OpenError](err)
		if !ok || !errors.Is(err, core.ErrOpen) {
			r.fatalf("refused by %T %v", err, err)
		}
		if refusal.Cause != want || refusal.State != r.m.state {
			r.fatalf("refused: %v, %v; want %v, %v", refusal.State, refusal.Cause, r.m.state, want)
		}
		if got := refusal.RetryAt.Sub(r.epoch); r.m.state == core.Open && got != r.m.until || want == core.CauseProbeLost && got != r.m.nextAt(&r.cfg) {
			r.fatalf("RetryAt %v, want %v, %v", got, r.m.until, r.m.nextAt(&r.cfg))
		}
		return fmt.Sprintf("allow: refused, %v", want)
	}
	if want != core.NoCause {
		r.fatalf("admitted, want a refusal: %v", want)
	}
	r.free = r.free[:len(r.free)-1]
	r.held = append(r.held, id)
	r.permits[id] = &p
	r.sums.Calls++
	r.started[id] = r.now()
	r.timed[id] = r.cfg.SlowAfter > 0
	return fmt.Sprintf("allow: permit %d", id)
}

func (r *modelRunner) settle(ctx context.Context, k int, draw drawFunc) string {
	id := r.held[k]
	r.held = append(r.held[:k:k], r.held[k+1:]...)
	r.free = append(r.free, id)

	took := r.now() - r.started[id]
	isSlow := r.timed[id] && r.cfg.SlowAfter > 0 && took > r.cfg.SlowAfter
	outcome := pickFrom(draw, core.Success, core.Failure, core.Failure, core.Ignored)
	mark := markOf(outcome, isSlow)
	var after time.Duration
	wasProbe := strings.Contains(r.m.probes+r.m.away, string(rune(id)))
	p := r.permits[id]
	how := draw(3)
	switch {
	case how == 0 && outcome == core.Failure:
		after = pickFrom(draw, -time.Second, 1500*time.Millisecond, 4*time.Second, time.Hour)
		p.Report(ctx, core.Failure, core.RetryAfter(errSick, after))
	case how == 1 && outcome == core.Failure:
		after = pickFrom(draw, -time.Second, 1500*time.Millisecond, 4*time.Second, time.Hour)
		p.Done(ctx, fmt.Errorf("wrapped: %w", core.RetryAfter(errors.New("sick"), after)))
	case how == 1 && outcome == core.Success:
		p.Done(ctx, nil)
	case how == 1:
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		p.Done(cancelled, errors.New("any text"))
	default:
		p.Settle(ctx, outcome)
	}
	was := r.m.settle(&r.cfg, r.now(), id, mark, after)
	countSettled(&r.sums, was, mark)
	isLate := was != inPhase
	if r.hooked {
		if len(r.settled) != 1 {
			r.fatalf("Settled was told %d times", len(r.settled))
		}
		s := r.settled[0]
		if s.Late != isLate || s.Slow != (isSlow && mark != "") || s.Outcome != outcome || r.timed[id] && s.Duration != took {
			r.fatalf("settled %+v; want late %t, slow %t, %v, took %v", s, isLate, isSlow, outcome, took)
		}
		if wasProbe && !s.Probe {
			r.fatalf("settled %+v; want a probe", s)
		}
	}
	r.settled = nil
	return fmt.Sprintf("settle %d: %v, mark %q, after %v: late %t", id, outcome, mark, after, isLate)
}

// record records a call that was made elsewhere.
func (r *modelRunner) record(ctx context.Context, draw drawFunc) string {
	if len(r.free) == 0 {
		return "record: the script holds enough"
	}
	id, now := r.free[len(r.free)-1], r.now()
	took := pickFrom(draw, -time.Second, 0, 500*time.Millisecond, time.Second+1, 3*time.Second)
	outcome := pickFrom(draw, core.Success, core.Failure, core.Failure, core.Ignored)
	isSlow := r.cfg.SlowAfter > 0 && took > r.cfg.SlowAfter
	r.b.Record(ctx, outcome, nil, took)

	mark := markOf(outcome, isSlow)
	r.sums.Calls++
	r.m.roll(&r.cfg, now)
	was := inPhase
	if r.m.state == core.Open || r.m.since > 0 && now-max(took, 0) < r.m.since {
		was = phaseOver
	}
	countSettled(&r.sums, was, mark)
	counts := was == inPhase && r.m.allow(&r.cfg, now, id) == core.NoCause
	if counts {
		r.m.settle(&r.cfg, now, id, mark, 0)
	}
	if r.hooked {
		want := core.Settlement{Outcome: outcome, Duration: max(took, 0), Slow: isSlow && mark != ""}
		if len(r.settled) != 1 {
			r.fatalf("Settled was told %d times", len(r.settled))
		}
		if s := r.settled[0]; s.Outcome != want.Outcome || s.Duration != want.Duration || s.Slow != want.Slow || s.Late != (was == phaseOver) {
			r.fatalf("recorded %+v; want %+v", s, want)
		}
	}
	r.settled = nil
	return fmt.Sprintf("record %v, took %v: counts %t", outcome, took, counts)
}

// elapse accounts a time to the states that the model goes through in it.
func (r *modelRunner) elapse(from, to time.Duration) {
	for m := r.m; from < to; {
		m.roll(&r.cfg, from)
		end := to
		if m.state == core.Open {
			end = min(end, m.until)
		}
		r.times[m.state] += end - from
		from = end
	}
}

func (r *modelRunner) compare() {
	state, snap := r.b.State(), r.b.Snapshot()
	m := r.m // a look must not roll the model: only a call makes a transition
	m.roll(&r.cfg, r.now())
	if want := m.view(&r.cfg, r.now()); viewOf(&snap, r.epoch) != want || state != want.State {
		r.fatalf("State %v, Snapshot\n %+v; want\n %+v", state, viewOf(&snap, r.epoch), want)
	}
	if want := m.sums(r.sums); snap.Totals != want { // also of a probe that only time has lost
		r.fatalf("Totals\n %+v; want\n %+v", snap.Totals, want)
	}
	if want := (core.TimeIn{Closed: r.times[core.Closed], Open: r.times[core.Open], HalfOpen: r.times[core.HalfOpen]}); snap.TimeIn != want {
		r.fatalf("TimeIn %+v; want %+v", snap.TimeIn, want)
	}
	if got := len(r.settled); got != 0 {
		r.fatalf("Settled was told of %d settlements that no call made", got)
	}
	if r.hooked && uint64(r.refusals) != snap.Totals.Refused {
		r.fatalf("Refused was told %d times of %d", r.refusals, snap.Totals.Refused)
	}
	r.chain(&snap)
}

// chain checks the events against each other.
func (r *modelRunner) chain(snap *core.Snapshot) {
	all := snap.Transitions
	if r.hooked {
		all = r.transitions
		if n := len(snap.Transitions); n > 0 && all[len(all)-1] != snap.Transitions[n-1] {
			r.fatalf("last transition: told %+v, kept %+v", all[len(all)-1], snap.Transitions[n-1])
		}
	}
	for i := 1; i < len(all); i++ {
		if all[i].From != all[i-1].To || all[i].Seq != all[i-1].Seq+1 || all[i].At.Before(all[i-1].At) {
			r.fatalf("transition %+v after %+v", all[i], all[i-1])
		}
	}
	var made uint64
	for _, c := range snap.Changes {
		made += c.Count
	}
	if n := len(all); n > 0 && made != all[n-1].Seq || n == 0 && made != 0 {
		r.fatalf("%d changes are counted: %+v; transitions %+v", made, snap.Changes, all)
	}
	if len(all) > 0 {
		last := all[len(all)-1]
		if last.At.Equal(snap.Since) && last.To == snap.State && (last.Opens != snap.Opens || last.Cause != snap.Cause && snap.Cause != core.CauseManualReset) {
			r.fatalf("last transition %+v; snapshot %+v", last, snap)
		}
	}
}

// TestModel compares random scripts; rapid shrinks what fails.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rapid.SyncTest(rt, func(rt *rapid.T) {
			r := newRunner(rt, rapidDraws(rt))
			rt.Repeat(map[string]func(*rapid.T){
				"": func(*rapid.T) {},
				"step": func(rt *rapid.T) {
					r.t = rt
					r.step(rapidDraws(rt))
				},
			})
		})
	})
}

func rapidDraws(rt *rapid.T) drawFunc {
	return func(n int) int {
		if n <= 1 {
			return 0
		}
		return rapid.IntRange(0, n-1).Draw(rt, "n")
	}
}

// TestModelRandom compares many more scripts than rapid has time for, from a
// fixed seed; what it finds is put into TestModel's hands by hand.
func TestModelRandom(t *testing.T) {
	scripts := 20_000
	if testing.Short() || underRace() {
		scripts = 3000
	}
	for seed := range scripts {
		draw := seeded(uint64(seed))
		synctest.Test(t, func(t *testing.T) {
			r := newRunner(t, draw)
			for range 60 {
				r.step(draw)
			}
		})
	}
}

// seeded draws from a random source, the same for the same seed.
func seeded(seed uint64) drawFunc {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(n int) int { return rng.IntN(max(n, 1)) }
}
