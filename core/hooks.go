package core

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Hooks are told what happened; each func may be nil.
//
// They run one at a time for a breaker and in the order of what they report,
// on the goroutine of some caller, with no lock held: a hook may call the
// breaker, and what that causes is reported after it returned. A hook that
// panics is recovered, counted ([Snapshot.HookPanics]) and logged; one that
// calls [runtime.Goexit] ends the goroutine it runs on; neither loses a later
// event.
//
// A caller that finds nobody running hooks runs them, its own and those that
// others queue meanwhile, until the queue is empty. A slow hook therefore
// delays one caller at a time. At most 1024 events wait, and after 1024 in a
// row no more of calls are taken until the queue is empty, so that the caller
// gets away; what is not taken is dropped and counted
// ([Snapshot.EventsDropped]). A Refused or Settled hook costs each call an
// allocation or two and a lock.
type Hooks struct {
	// Transition is told of each change of state. Its ctx is that of the call
	// that caused or met it.
	Transition func(ctx context.Context, t Transition)
	// Refused is told of each refusal, and, in [Shadow], of each call that
	// would have been refused.
	Refused func(ctx context.Context, err *OpenError)
	// Settled is told of each settlement.
	Settled func(ctx context.Context, s Settlement)
}

// Transition is one change of a breaker's state.
type Transition struct {
	Name    string    // the breaker
	Seq     uint64    // numbers the transitions of a breaker, from 1; a gap was dropped
	From    State     //
	To      State     //
	Cause   Cause     //
	At      time.Time // when it took effect; a break that is over ended then, not when a call noticed
	RetryAt time.Time // when the break will be over; zero unless To is Open
	Opens   int       // openings without a close between, this one included
	Counts  Counts    // what the phase that ended had counted
	Err     error     // what the call that opened the breaker returned, if it was told
}

// Reason says in words, with the numbers, why: "failure rate (50 %, 10 of 20 calls)".
func (t Transition) Reason() string {
	switch t.Cause { //nolint:exhaustive // the others need no numbers
	case FailuresInRow:
		return fmt.Sprintf("%v (%d)", t.Cause, t.Counts.InRow)
	case FailureRate:
		return fmt.Sprintf("%v (%s, %d of %d calls)", t.Cause, percent(t.Counts.FailureRate()), t.Counts.Failures, t.Counts.Calls)
	case SlowRate:
		return fmt.Sprintf("%v (%s, %d of %d calls)", t.Cause, percent(t.Counts.SlowRate()), t.Counts.Slow, t.Counts.Calls)
	}
	return t.Cause.String()
}

// LogValue makes a Transition one group of a log line.
func (t Transition) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("breaker", t.Name), slog.Uint64("seq", t.Seq),
		slog.String("from", t.From.String()), slog.String("to", t.To.String()), slog.String("cause", t.Cause.String()),
		slog.Int("calls", t.Counts.Calls), slog.Int("failures", t.Counts.Failures), slog.Int("slow", t.Counts.Slow),
		slog.Int("in_a_row", t.Counts.InRow),
	}
	if t.Err != nil {
		attrs = append(attrs, slog.String("err", t.Err.Error()))
	}
	if t.To == Open {
		attrs = append(attrs, slog.Time("retry_at", t.RetryAt), slog.Int("opens", t.Opens))
	}
	return slog.GroupValue(attrs...)
}

// Counts is what one phase has counted: of a closed breaker its window, of a
// half-open one its probes.
type Counts struct {
	Calls    int // in the window; of a half-open breaker, probes settled
	Failures int // of these
	Slow     int // of these, whatever else they were
	InRow    int // failures in a row now; of a half-open breaker, successes
}

// FailureRate is Failures of Calls; 0 without calls.
func (c Counts) FailureRate() float64 { return share(c.Failures, c.Calls) }

// SlowRate is Slow of Calls; 0 without calls.
func (c Counts) SlowRate() float64 { return share(c.Slow, c.Calls) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Settlement is one settled call.
type Settlement struct {
	Name     string        // the breaker
	Seq      uint64        // numbers the settlements of a breaker, from 1; a gap was dropped
	Outcome  Outcome       //
	Err      error         // what the call returned, if the settler told
	Duration time.Duration // 0 unless Durations or SlowAfter is set
	Slow     bool          // it took longer than SlowAfter
	TimedOut bool          // it outlived its CallTimeout, or failed by a deadline
	Probe    bool          // it was a probe of a half-open breaker
	Late     bool          // the phase that issued the permit had ended
}
