package grpcmw

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/deadline"
)

// DefaultClassifyClient is what clients use without a Classify of their own:
//
//   - the call was not sent, or not as it is, for a reason of this side: a message or
//     header that is not valid or too long, credentials that could not be fetched, no
//     file descriptor, port or memory left, a resolver that does not answer, the
//     connection closed by its user: [core.Ignored];
//   - an answer was longer than the call allows: [core.Ignored];
//   - the caller cancelled: [core.Ignored];
//   - the caller's deadline passed: [core.Failure];
//   - a breaker further in refused: [core.Ignored];
//   - Unavailable, DeadlineExceeded, ResourceExhausted, Internal, Unknown and
//     DataLoss: [core.Failure]; an interceptor ignores the refusal of a server's
//     concurrency limit while other calls succeed, see [core.Breaker.LimitedOutcome];
//   - any other code: [core.Success], the server answered.
//
// The first two are known by what the interceptor has seen of the call, which it
// passes on in ctx: with a context of another origin, an error counts by its code.
func DefaultClassifyClient(ctx context.Context, err error) core.Outcome {
	if err == nil {
		return core.Success
	}
	if o, known := blamed(ctx); known {
		return o
	}
	switch {
	case ctx.Err() == context.Canceled:
		return core.Ignored
	case ctx.Err() == context.DeadlineExceeded:
		return core.Failure
	case errors.Is(err, core.ErrOpen):
		return core.Ignored
	}
	switch code := statusOf(err).Code(); {
	case code == codes.Canceled:
		return core.Ignored
	case failed(code):
		return core.Failure
	}
	return core.Success
}

// failed reports whether a code is not an answer.
func failed(code codes.Code) bool {
	switch code { //nolint:exhaustive // the others are the server's answer
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal, codes.Unknown, codes.DataLoss:
		return true
	}
	return false
}

// DefaultClassifyServer is what servers use without a Classify of their own, of what a
// handler returned:
//
//   - the client has gone, or its messages could not be read, or ended early, or it
//     could not be sent to: [core.Ignored], whatever the handler made of that;
//   - the client's deadline passed, or the client has gone about then, which is how a
//     deadline looks when the client's clock is first: [core.Failure] if the handler
//     had run for clearly longer than calls of the method usually do, otherwise
//     [core.Ignored];
//   - a breaker further in refused: [core.Ignored];
//   - Unknown, which is what an error that is no status goes out as,
//     DeadlineExceeded, Internal, Unavailable and DataLoss: [core.Failure];
//   - any other code: [core.Success].
//
// What is usual, and what became of a client's messages, is passed on in ctx by the
// interceptor: with a context of another origin, a deadline that has passed is a
// failure.
func DefaultClassifyServer(ctx context.Context, err error) core.Outcome {
	if err == nil {
		return core.Success
	}
	if o, known := blamed(ctx); known {
		return o
	}
	switch {
	case overdue(ctx):
		return core.Failure
	case ctx.Err() != nil:
		return core.Ignored
	case errors.Is(err, core.ErrOpen):
		return core.Ignored
	}
	switch statusOf(err).Code() { //nolint:exhaustive // the others are answers
	case codes.Canceled:
		return core.Ignored
	case codes.Unknown, codes.DeadlineExceeded, codes.Internal, codes.Unavailable, codes.DataLoss:
		return core.Failure
	}
	return core.Success
}

// overdue reports whether a context has ended by its deadline. A client whose
// deadline has passed cancels the call, so that a server hears of it twice, and
// either may be first.
func overdue(ctx context.Context) bool {
	at, ok := ctx.Deadline()
	return ok && ctx.Err() != nil && time.Until(at) < nearly
}

// statusOf returns the status that goes over the wire for err.
func statusOf(err error) *status.Status {
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// blameKey is the key of what blame adds to a context.
type blameKey struct{}

// blame returns ctx with what the classifiers of this package need to know and
// cannot see: that a call which has ended with an error says nothing of who is
// guarded, or that it has failed after all. Zero is neither.
func blame(ctx context.Context, o core.Outcome) context.Context {
	if o == 0 {
		return ctx
	}
	return context.WithValue(ctx, blameKey{}, o)
}

// ignoredIf is the outcome to blame an error of this side by.
func ignoredIf(own bool) core.Outcome {
	if own {
		return core.Ignored
	}
	return 0
}

func blamed(ctx context.Context) (o core.Outcome, known bool) {
	o, known = ctx.Value(blameKey{}).(core.Outcome)
	return o, known
}

// report settles a call that ended with err and a trailer.
func report(ctx context.Context, p *core.Permit, o core.Outcome, err error, trailer metadata.MD) {
	if o == core.Failure && err != nil {
		if wait, ok := retryDelay(err, trailer); ok {
			err = core.RetryAfter(err, wait)
		}
		if overdue(ctx) || statusOf(err).Code() == codes.DeadlineExceeded {
			err = deadline.Exceeded(err)
		}
	}
	p.Report(ctx, o, err)
}

// retryDelay returns the wait that a server asks for, by RetryInfo or by pushback.
func retryDelay(err error, trailer metadata.MD) (wait time.Duration, ok bool) {
	for _, detail := range statusOf(err).Details() {
		if info, isInfo := detail.(*errdetails.RetryInfo); isInfo && info.GetRetryDelay() != nil {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	if values := trailer.Get(pushback); len(values) == 1 {
		ms, err := strconv.ParseInt(values[0], 10, 64)
		if err == nil && ms >= 0 {
			return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond, true
		}
	}
	return 0, false
}
