package core_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"pgregory.net/rapid"
)

// limitModel is an adaptive limit in the words of its rules, with every call that
// counts kept in a list. Latencies and times are in seconds.
type limitModel struct {
	min, max, initial, tolerance, reserve float64

	limit, base, before float64       // before is the limit to return to after half a window
	opened, since       time.Duration // since when no cut was judged while the limit was used up
	calls               []modelCall
	refused             bool
	cut                 *modelCut // the running experiment
	fast                bool
	inFlight            int
}

type (
	modelCall struct {
		admitted time.Duration
		took     float64
		inFlight int
		late     bool
	}
	modelCut struct{ limit, mean, inFlight float64 }
)

func (m *limitModel) admits(low bool) bool {
	room := math.Floor(m.limit)
	if low {
		room = min(room, max(1, math.Ceil((1-m.reserve)*m.limit-1e-9)))
	}
	m.refused = m.refused || m.inFlight >= int(room)
	return m.inFlight < int(room)
}

// ends is a call that has ended at a time. c.admitted is when it began.
func (m *limitModel) ends(now time.Duration, c modelCall, o core.Outcome) {
	m.inFlight--
	known := m.base > 0
	if o == core.Ignored || c.admitted < m.opened || o == core.Failure && (c.took < m.base || !known && !c.late) {
		return
	}
	m.calls = append(m.calls, c)
	n, sum, squares, load, peak, late := float64(len(m.calls)), 0.0, 0.0, 0.0, 0.0, 0.0
	for _, c := range m.calls {
		sum, squares, load, peak = sum+c.took, squares+c.took*c.took, load+float64(c.inFlight), max(peak, float64(c.inFlight))
		if c.late {
			late++
		}
	}
	spread, span := 0.0, now-m.opened
	if sum > 0 {
		spread = squares*n/(sum*sum) - 1
	}
	if span < 100*time.Millisecond || span.Seconds() < 2*m.base || (n < 30 || n < 100*spread) && (span < 10*time.Second || n < 10) {
		return
	}
	limited := m.refused || peak > m.limit/2
	m.calls, m.opened, m.refused = nil, now, false
	m.window(now, max(sum/n, 1e-9), load/n, peak, limited, late > .1*n)
}

// window is rules 3 to 11 at the end of a window.
func (m *limitModel) window(now time.Duration, mean, load, peak float64, limited, late bool) {
	if m.base == 0 {
		m.base = mean
	}
	halved, back := m.before > 0, m.before
	m.before = 0
	switch {
	case limited && late:
		if halved {
			m.limit = back
		}
		m.limit, m.cut, m.fast, m.since = m.clamp(m.limit*.7), nil, false, now
		return
	case halved:
		m.judge(mean, load)
		m.limit, m.cut, m.since = back, nil, now
		return
	}
	if mean < m.base {
		m.base += .2 * (mean - m.base)
	} else if !limited {
		m.base += .02 * (mean - m.base)
	}
	if !limited {
		if floor := max(m.initial, 2*peak); m.limit > floor {
			m.limit = m.clamp(m.limit + .02*(floor-m.limit))
		}
		m.cut, m.since = nil, now
		return
	}
	if m.cut != nil && m.limit <= .7*m.cut.limit {
		if undo := m.judge(mean, load); undo {
			m.limit = m.cut.limit
		}
		m.cut, m.since = nil, now
	}
	g, was := min(1, max(.5, m.tolerance*m.base/mean)), m.limit
	m.fast = m.fast && g == 1
	if m.fast {
		m.limit = m.clamp(1.5 * was)
	} else {
		m.limit = m.clamp(g*was + math.Sqrt(was))
	}
	switch {
	case m.limit >= was:
		m.cut = nil
	case m.cut == nil:
		m.cut = &modelCut{was, mean, load}
	}
	if wait := map[bool]time.Duration{false: 30 * time.Second, true: 5 * time.Second}[g < .6]; m.cut == nil && now-m.since > wait && m.limit > 2*m.min {
		m.before, m.cut, m.limit = m.limit, &modelCut{m.limit, mean, load}, m.clamp(m.limit/2)
	}
}

// judge reports whether the cut did not help.
func (m *limitModel) judge(mean, load float64) (undo bool) {
	if load > .85*m.cut.inFlight {
		return false
	}
	if math.Log(m.cut.mean/mean)/math.Log(m.cut.inFlight/load) >= .1 {
		m.base = min(m.base, (m.base+mean)/2)
		return false
	}
	if mean > m.base {
		m.fast, m.base = mean > m.tolerance*m.base, mean
	}
	return true
}

func (m *limitModel) clamp(limit float64) float64 { return min(m.max, max(m.min, limit)) }

// TestLimitModel: a limit does, call by call, what the rules say.
func TestLimitModel(t *testing.T) { t.Parallel(); rapid.Check(t, checkLimitModel) }

func FuzzLimitModel(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkLimitModel)) }

func checkLimitModel(t *rapid.T) {
	cfg := core.LimitConfig{
		Min: rapid.IntRange(1, 30).Draw(t, "Min"), Max: rapid.IntRange(31, 200).Draw(t, "Max"),
		Initial: rapid.IntRange(30, 31).Draw(t, "Initial"), Tolerance: rapid.Float64Range(1.1, 4).Draw(t, "Tolerance"), Reserve: .3,
	}
	m := &limitModel{
		min: float64(cfg.Min), max: float64(cfg.Max), initial: float64(cfg.Initial), tolerance: cfg.Tolerance, reserve: cfg.Reserve, limit: float64(cfg.Initial),
	}
	clock := newFakeClock()
	epoch := clock.at
	cfg.Now = clock.now
	l, err := core.NewLimit("model", cfg)
	if err != nil {
		t.Fatal(err)
	}
	type out struct {
		permit *core.Permit
		call   modelCall
		begun  time.Time
	}
	var calls []out
	now := func() time.Duration { return clock.at.Sub(epoch) }
	for range rapid.IntRange(1, 8).Draw(t, "phases") {
		// In a phase, rounds are alike: calls are admitted, and end after as long as the
		// dependency takes by then.
		n, low := rapid.IntRange(1, 250).Draw(t, "calls"), rapid.Bool().Draw(t, "low")
		queue, ms := rapid.Bool().Draw(t, "queue"), rapid.IntRange(1, 1500).Draw(t, "ms")
		outcome := rapid.SampledFrom([]core.Outcome{core.Success, core.Success, core.Success, core.Success, core.Failure, core.Ignored}).Draw(t, "outcome")
		late := outcome == core.Failure && rapid.Bool().Draw(t, "late")
		kept := rapid.IntRange(0, 3).Draw(t, "kept") // of the calls, for the next round
		ctx := bg
		if low {
			ctx = core.WithPriority(bg, core.LowPriority)
		}
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			for range n {
				want := m.admits(low)
				p, err := l.Allow(ctx)
				if (err == nil) != want {
					t.Fatalf("Allow = %v with %d in flight, want admitted: %v; model %+v, %s", err, m.inFlight, want, m, l.Explain())
				}
				if want {
					m.inFlight++
					moved := p.Move()
					calls = append(calls, out{&moved, modelCall{admitted: now(), inFlight: m.inFlight}, clock.at})
				}
			}
			took := time.Duration(ms) * time.Millisecond
			if queue {
				took = took * time.Duration(len(calls)) / 100
			}
			clock.advance(max(took, 10*time.Millisecond) + time.Nanosecond) // so that no call begins when a window does
			keep := min(kept, len(calls))
			for _, c := range calls[keep:] {
				clock.advance(time.Microsecond)
				var err error
				if c.call.late = late; late {
					err = context.DeadlineExceeded
				}
				c.permit.Report(bg, outcome, err)
				c.call.took = clock.at.Sub(c.begun).Seconds()
				m.ends(now(), c.call, outcome)
				limit, base, all := core.LimitState(l)
				if !all {
					return // calls are so many that only some are timed, which the model does not know
				}
				if !near(limit, m.limit) || !near(base, m.base) || l.Snapshot().InFlight != m.inFlight {
					t.Fatalf("limit %v, base %v, want %v and %v; %d calls in flight: %s", limit, base, m.limit, m.base, m.inFlight, l.Explain())
				}
			}
			calls = calls[:keep]
			clock.advance(time.Nanosecond)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }
