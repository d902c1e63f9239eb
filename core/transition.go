package core

import (
	"fmt"
	"log/slog"
	"time"
)

// Transition is one change of a breaker's state.
type Transition struct {
	Name    string    `json:"name"`              // the breaker
	Seq     uint64    `json:"seq"`               // numbers the transitions of a breaker, from 1; a gap was dropped
	From    State     `json:"from"`              //
	To      State     `json:"to"`                //
	Cause   Cause     `json:"cause"`             //
	At      time.Time `json:"at"`                // when it took effect; a break that is over ended then, not when a call noticed
	RetryAt time.Time `json:"retry_at,omitzero"` // when the break will be over; zero unless To is Open
	Opens   int       `json:"opens"`             // openings without a close between, this one included
	Counts  Counts    `json:"counts"`            // what the phase that ended had counted
	Err     error     `json:"err,omitzero"`      // what the call that opened the breaker returned, if it was told
}

// Reason says in words, with the numbers, why: "failure rate (50 %, 10 of 20 calls)".
func (t Transition) Reason() string {
	switch t.Cause { //nolint:exhaustive // the others need no numbers
	case CauseConsecutiveFailures:
		return fmt.Sprintf("%v (%d)", t.Cause, t.Counts.Consecutive)
	case CauseFailureRate:
		return fmt.Sprintf("%v (%s, %d of %d calls)", t.Cause, percent(t.Counts.FailureRate()), t.Counts.Failures, t.Counts.Calls)
	case CauseSlowRate:
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
		slog.Int("consecutive", t.Counts.Consecutive),
	}
	if t.Err != nil {
		attrs = append(attrs, slog.String("err", t.Err.Error()))
	}
	if t.To == Open {
		attrs = append(attrs, slog.Time("retry_at", t.RetryAt), slog.Int("opens", t.Opens))
	}
	return slog.GroupValue(attrs...)
}
