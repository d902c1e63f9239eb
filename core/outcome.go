package core

import (
	"context"
	"errors"

	"github.com/blackbox4/switchgear/internal/enum"
)

// Outcome is what became of an admitted call. The zero Outcome, like any other
// value that is not one of the constants, is taken for a [Failure]: a
// classifier that forgets a case must not hide a sick dependency.
type Outcome uint8

// The outcomes of a call.
const (
	Success Outcome = iota + 1 // the dependency did its work
	Failure                    // the dependency did not
	Ignored                    // says nothing about the dependency; counts nowhere and gives a probe's place back
)

var outcomeNames = enum.Names[Outcome]{Type: "Outcome", Of: []string{Success: "success", Failure: "failure", Ignored: "ignored"}} //nolint:gochecknoglobals // a table

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string { return outcomeNames.String(o) }

// MarshalText makes an Outcome readable in JSON and YAML. It never fails.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (o *Outcome) UnmarshalText(text []byte) error {
	return readEnum(outcomeNames, text, o)
}

// known maps everything that is not an Outcome to Failure.
func (o Outcome) known() Outcome {
	if o == Success || o == Ignored {
		return o
	}
	return Failure
}

// DefaultClassify is what a [Breaker] without its own Classify uses. It looks
// at the caller's context, never only at the error's text or kind, because a
// cancelled call may fail with any error at all:
//
//   - no error is a [Success];
//   - the caller cancelled ctx: [Ignored], it says nothing about the dependency;
//   - the caller's deadline passed: [Failure], a dependency that hangs shows
//     itself in no other way;
//   - another gate's refusal (errors.Is(err, [ErrOpen])): [Ignored];
//   - a shortage of this machine ([LocalShortage]): [Ignored];
//   - any other error is a [Failure].
//
// A nil ctx is taken for [context.Background].
func DefaultClassify(ctx context.Context, err error) Outcome {
	if err == nil {
		return Success
	}
	if ctx != nil {
		switch ctx.Err() {
		case context.Canceled:
			return Ignored
		case context.DeadlineExceeded:
			return Failure
		}
	}
	if errors.Is(err, ErrOpen) || LocalShortage(err) {
		return Ignored
	}
	return Failure
}

// classify makes a result of what a call returned.
func (b *Breaker) classify(ctx context.Context, err error) result {
	if ctx == nil {
		ctx = context.Background()
	}
	classify := b.settings.Load().Classify
	if classify == nil {
		classify = DefaultClassify
	}
	v := result{outcome: classify(ctx, err).known(), err: err}
	if v.outcome == Failure && err != nil {
		v.after = max(askedFor(err), 0)
		v.timedOut = errors.Is(err, context.DeadlineExceeded)
	}
	return v
}
