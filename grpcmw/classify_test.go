package grpcmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

func TestWhichCodesFail(t *testing.T) {
	for code, want := range map[codes.Code]struct{ client, server core.Outcome }{
		codes.OK:                 {core.Success, core.Success},
		codes.Canceled:           {core.Ignored, core.Ignored}, // it was not cancelled here
		codes.Unknown:            {core.Failure, core.Failure},
		codes.InvalidArgument:    {core.Success, core.Success},
		codes.DeadlineExceeded:   {core.Failure, core.Failure},
		codes.NotFound:           {core.Success, core.Success},
		codes.AlreadyExists:      {core.Success, core.Success},
		codes.PermissionDenied:   {core.Success, core.Success},
		codes.ResourceExhausted:  {core.Failure, core.Success}, // the server's own limiter
		codes.FailedPrecondition: {core.Success, core.Success},
		codes.Aborted:            {core.Success, core.Success},
		codes.OutOfRange:         {core.Success, core.Success},
		codes.Unimplemented:      {core.Success, core.Success},
		codes.Internal:           {core.Failure, core.Failure},
		codes.Unavailable:        {core.Failure, core.Failure},
		codes.DataLoss:           {core.Failure, core.Failure},
		codes.Unauthenticated:    {core.Success, core.Success},
		codes.Code(42):           {core.Success, core.Success},
	} {
		t.Run(code.String(), func(t *testing.T) {
			each(t, methods, func(t *testing.T, method string) {
				b := backend{}
				if code != codes.OK {
					b = fails(status.Error(code, "it says so"))
				}
				p := between(t, b, counting())
				wantCode(t, call(bg, p.cc, method), code)
				wantCounts(t, p.client, times(1, want.client))
				wantCounts(t, p.server, times(1, want.server))
			})
		})
	}
}

func TestErrorsThatNoCodeTells(t *testing.T) {
	passed, cancel := context.WithDeadline(bg, time.Unix(0, 0))
	defer cancel()
	refusal := grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: opened(t)})(bg, unary, nil, nil, nil, nil)
	sibling, stop := context.WithCancelCause(bg)
	stop(errors.New("a sibling failed"))
	for _, c := range []struct {
		name           string
		ctx            context.Context
		err            error
		client, server core.Outcome
	}{
		{"cancelled, whatever the error", cancelled(), status.Error(codes.Internal, ""), core.Ignored, core.Ignored},
		{"cancelled with a cause", sibling, context.Cause(sibling), core.Ignored, core.Ignored},
		{"cancelled, and yet it went well", cancelled(), nil, core.Success, core.Success},
		{"the deadline has passed, whatever the error", passed, status.Error(codes.Canceled, ""), core.Failure, core.Failure},
		{"cancelled further in", bg, context.Canceled, core.Ignored, core.Ignored},
		{"a raw deadline", bg, context.DeadlineExceeded, core.Failure, core.Failure},
		{"a wrapped deadline", bg, fmt.Errorf("wrapped: %w", context.DeadlineExceeded), core.Failure, core.Failure},
		{"a wrapped status", bg, fmt.Errorf("max retries exhausted: %w", status.Error(codes.NotFound, "")), core.Success, core.Success},
		{"no status", bg, errors.New("plain"), core.Failure, core.Failure},
		{"a breaker further in", bg, fmt.Errorf("wrapped: %w", refusal), core.Ignored, core.Ignored},
		{"a breaker elsewhere", bg, status.Convert(refusal).Err(), core.Failure, core.Failure},
	} {
		if got := grpcmw.DefaultClassifyClient(c.ctx, c.err); got != c.client {
			t.Errorf("client, %s: %v, want %v", c.name, got, c.client)
		}
		if got := grpcmw.DefaultClassifyServer(c.ctx, c.err); got != c.server {
			t.Errorf("server, %s: %v, want %v", c.name, got, c.server)
		}
	}
}

func TestClassifyOfTheUserDecides(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		aborted := func(ctx context.Context, err error) core.Outcome {
			if status.Code(err) == codes.Aborted {
				return core.Failure
			}
			return grpcmw.DefaultClassifyClient(ctx, err)
		}
		client, server := newBreaker(t, counting()), newBreaker(t, counting())
		cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client, Classify: aborted}),
			serve(t, fails(status.Error(codes.Aborted, "contention")), guards(grpcmw.ServerOptions{Gate: server, Classify: aborted})...))...)
		wantCode(t, call(bg, cc, method), codes.Aborted)
		wantCounts(t, client, times(1, core.Failure))
		wantCounts(t, server, times(1, core.Failure))
	})
}

func TestWhatCannotBeSentIsNotCounted(t *testing.T) {
	long := strings.Repeat("x", 100)
	oneLong := func(_ string, ss grpc.ServerStream) error {
		if err := ss.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			return err
		}
		return ss.SendMsg(wrapperspb.String(long))
	}
	b := backend{unary: func(context.Context, string) (string, error) { return long, nil }, stream: oneLong}
	each(t, methods, func(t *testing.T, method string) {
		for _, c := range []struct {
			name string
			ctx  context.Context
			want codes.Code
			opt  grpc.CallOption
			text string
		}{
			{"too long to send", bg, codes.ResourceExhausted, grpc.MaxCallSendMsgSize(10), long},
			{"too long to receive", bg, codes.ResourceExhausted, grpc.MaxCallRecvMsgSize(10), "text"},
			{"not UTF-8", bg, codes.Internal, grpc.EmptyCallOption{}, "\xff"},
			{"a header's key", metadata.AppendToOutgoingContext(bg, "k y", "value"), codes.Internal, grpc.EmptyCallOption{}, "text"},
			{"a header's value", metadata.AppendToOutgoingContext(bg, "key", "\x00"), codes.Internal, grpc.EmptyCallOption{}, "text"},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := between(t, b, counting())
				err := sendText(c.ctx, p.cc, method, c.text, c.opt)
				wantCode(t, err, c.want)
				wantCounts(t, p.client, times(1, core.Ignored))
			})
		}
	})
}

// sendText makes a call with a text.
func sendText(ctx context.Context, cc *grpc.ClientConn, method, text string, opts ...grpc.CallOption) error {
	if method == unary {
		return cc.Invoke(ctx, unary, wrapperspb.String(text), new(wrapperspb.StringValue), opts...)
	}
	cs, err := begin(ctx, cc, method, opts...)
	if err != nil {
		return err
	}
	if err := cs.SendMsg(wrapperspb.String(text)); err != nil && err != io.EOF {
		return err
	}
	return receive(cs)
}

func TestTheConnectionIsClosed(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		arrived := make(chan struct{}, 1)
		hang := func(ctx context.Context) error {
			arrived <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		p := between(t, backend{
			unary:  func(ctx context.Context, _ string) (string, error) { return "", hang(ctx) },
			stream: func(_ string, ss grpc.ServerStream) error { return hang(ss.Context()) },
		}, counting())
		failed := make(chan error, 1)
		go func() { failed <- call(bg, p.cc, method) }()
		await(t, "the call", arrived)
		p.cc.Close()
		wantCode(t, await(t, "its end", failed), codes.Canceled)
		wantCounts(t, p.client, times(1, core.Ignored))
		wantCode(t, call(bg, p.cc, method), codes.Canceled) // it is closed already
		wantCounts(t, p.client, times(2, core.Ignored))
	})
}

func TestWhatAHandlerReturnsCountsAsOnTheWire(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		for _, c := range []struct {
			name string
			err  error
			code codes.Code
			want core.Outcome
		}{
			{"a raw cancellation", context.Canceled, codes.Canceled, core.Ignored},
			{"a raw deadline", context.DeadlineExceeded, codes.DeadlineExceeded, core.Failure},
			{"a wrapped deadline", fmt.Errorf("wrapped: %w", context.DeadlineExceeded), codes.DeadlineExceeded, core.Failure},
			{"a plain error", errors.New("plain"), codes.Unknown, core.Failure},
			{"a status", status.Error(codes.NotFound, "not here"), codes.NotFound, core.Success},
			{"a wrapped status", fmt.Errorf("wrapped: %w", status.Error(codes.DataLoss, "gone")), codes.DataLoss, core.Failure},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := between(t, fails(c.err), counting())
				wantCode(t, call(bg, p.cc, method), c.code)
				wantCounts(t, p.server, times(1, c.want))
			})
		}
	})
}

func TestAClientThatHasGoneIsIgnored(t *testing.T) {
	each(t, methods, func(t *testing.T, method string) {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		hang := func(ctx context.Context) error {
			cancel()
			<-ctx.Done()
			return status.Error(codes.Internal, "the database says that it was cancelled")
		}
		p := between(t, backend{
			unary:  func(ctx context.Context, _ string) (string, error) { return "", hang(ctx) },
			stream: func(_ string, ss grpc.ServerStream) error { return hang(ss.Context()) },
		}, counting())
		wantCode(t, call(ctx, p.cc, method), codes.Canceled)
		wantCounts(t, p.client, times(1, core.Ignored))
		wantCounts(t, p.server, times(1, core.Ignored))
	})
}

// TestTheDeadlineOfAClient: a server hears of it twice, by its own clock and by the
// client's cancellation; whichever comes first, its handler was too slow.
func TestTheDeadlineOfAClient(t *testing.T) {
	const calls, deadline = 100, time.Second
	for _, c := range []struct {
		name           string
		cancel         time.Duration // 0 is never
		client, server core.Outcome
	}{
		{"passes", 0, core.Failure, core.Failure},
		{"is all but there when it cancels", deadline - 9*time.Millisecond, core.Ignored, core.Failure},
		{"is far when it cancels", deadline - 10*time.Millisecond, core.Ignored, core.Ignored},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, methods, func(t *testing.T, method string) {
				wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				p := between(t, backend{
					unary:  func(ctx context.Context, _ string) (string, error) { return "", wait(ctx) },
					stream: func(_ string, ss grpc.ServerStream) error { return wait(ss.Context()) },
				}, counting())
				for range calls {
					ctx, cancel := context.WithTimeout(bg, deadline)
					if c.cancel > 0 {
						time.AfterFunc(c.cancel, cancel)
					}
					if err := call(ctx, p.cc, method); err == nil {
						t.Error("the call succeeded, want an error")
					}
					cancel()
				}
				wantCounts(t, p.client, times(calls, c.client))
				wantCounts(t, p.server, times(calls, c.server))
			})
		})
	}
}

func TestADeadlineIsToldAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []core.Settlement
		cfg := counting()
		cfg.Hooks.Settled = func(_ context.Context, s core.Settlement) { told = append(told, s) }
		b := newBreaker(t, cfg)
		err := status.Error(codes.DeadlineExceeded, "too slow")
		got := grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: b})(bg, unary, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			return err
		})
		if got != err {
			t.Errorf("the caller got %v, want the error as it is", got)
		}
		if len(told) != 1 || !told[0].TimedOut || !errors.Is(told[0].Err, err) || told[0].Err.Error() != err.Error() {
			t.Errorf("settled %+v, want once, timed out, by %v", told, err)
		}
	})
}
