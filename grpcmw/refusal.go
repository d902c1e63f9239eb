package grpcmw

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/blackbox4/switchgear/core"
)

// Reason and Domain are those of the ErrorInfo in a refusal of a breaker; that of a
// limit has [ReasonLimited].
const (
	Reason = "CIRCUIT_OPEN"
	Domain = "switchgear"
)

// refusal is the error of a gate that is a status as well. Its text is the gate's
// own, for the side that refused.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// GRPCStatus is what goes over the wire: it says nothing of the inside.
func (r *refusal) GRPCStatus() *status.Status {
	if !errors.Is(r.error, core.ErrOpen) {
		return status.New(codes.Internal, "there is no circuit breaker for this call")
	}
	st := status.New(codes.Unavailable, "circuit breaker is open")
	info := &errdetails.ErrorInfo{Reason: Reason, Domain: Domain}
	if errors.Is(r.error, core.ErrLimited) { // Unavailable, which clients retry; ResourceExhausted they do not
		st = status.New(codes.Unavailable, "concurrency limit is reached")
		info.Reason = ReasonLimited
	}
	with, err := st.WithDetails(info, &errdetails.RetryInfo{RetryDelay: durationpb.New(r.wait())})
	if err != nil { // not with these
		return st
	}
	return with
}

// wait is how long to wait before trying again: a second if that is not known.
func (r *refusal) wait() time.Duration {
	open, ok := errors.AsType[*core.OpenError](r.error)
	if !ok || open.RetryAt.IsZero() {
		return time.Second
	}
	return max(time.Until(open.RetryAt), time.Millisecond)
}

// isFault reports whether the error of a call that was not admitted is a fault of the
// program.
func isFault(err error) bool {
	r, ok := err.(*refusal) //nolint:errorlint // as refused makes it
	return ok && !errors.Is(r, core.ErrOpen)
}

// refused is the error of a call that was not admitted, always a status.
func refused(ctx context.Context, err error) error {
	if done := ctx.Err(); done != nil {
		return status.FromContextError(done).Err()
	}
	if !errors.Is(err, core.ErrOpen) {
		if _, ok := status.FromError(err); ok {
			return err // of a gate that knows better
		}
	}
	return &refusal{err}
}

// refusals are those of one client. A breaker refuses with the same error as long
// as its break lasts, and so do we: a refusal allocates nothing.
type refusals struct{ last atomic.Pointer[refusal] }

func (r *refusals) of(ctx context.Context, err error) error {
	open, ok := err.(*core.OpenError)                                                              //nolint:errorlint // one that is wrapped is made anew
	if last := r.last.Load(); ok && last != nil && last.error == error(open) && ctx.Err() == nil { //nolint:errorlint // the very same
		return last
	}
	err = refused(ctx, err)
	if made, is := err.(*refusal); ok && is { //nolint:errorlint // it has just been made
		r.last.Store(made)
	}
	return err
}

// Retriable returns a func for interceptors that retry, which says whether a call
// that returned an error may be made again: not one that a breaker refused, here
// or at the server, otherwise as next says. A nil next says yes to Unavailable.
//
// The interceptor that retries belongs outside of the breaker's, so that each
// attempt is counted.
func Retriable(next func(error) bool) func(error) bool {
	if next == nil {
		next = func(err error) bool { return statusOf(err).Code() == codes.Unavailable }
	}
	return func(err error) bool {
		return err != nil && !errors.Is(err, core.ErrOpen) && !refusedFor(err, Reason) && next(err)
	}
}
