package grpcmw_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// errNone stands for no error.
var errNone = errors.New("none")

// TestWhenAClientsDeadlineCounts goes through the borders: by how long the handler has
// run, how long calls usually take, and when the client went.
func TestWhenAClientsDeadlineCounts(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name             string
		usual            time.Duration // of a success before
		deadline, cancel time.Duration // 0 is never
		runs             time.Duration // 0 until the context ends
		factor           float64
		err              error // nil is the context's
		want             core.Outcome
	}{
		{"shorter than a second", 5 * ms, 999 * ms, 0, 0, 0, nil, core.Ignored},
		{"a second", 5 * ms, time.Second, 0, 0, 0, nil, core.Failure},
		{"less than twice as long as usual", 2000 * ms, 3999 * ms, 0, 0, 0, nil, core.Ignored},
		{"twice as long as usual", 2000 * ms, 4000 * ms, 0, 0, 0, nil, core.Failure},
		{"less than three times as long, which is asked for", 2000 * ms, 5999 * ms, 0, 0, 3, nil, core.Ignored},
		{"three times as long, which is asked for", 2000 * ms, 6000 * ms, 0, 0, 3, nil, core.Failure},
		{"every one counts", 2000 * ms, 1500 * ms, 0, 0, -1, nil, core.Failure},

		{"every one counts, however short", 5 * ms, 100 * ms, 0, 0, -1, nil, core.Failure},
		{"every one counts, as the handler tells of it", 5 * ms, 100 * ms, 0, 95 * ms, -1, status.Error(codes.DeadlineExceeded, ""), core.Failure},
		{"every one counts, and the handler does not return", 5 * ms, 100 * ms, 0, 30_000 * ms, -1, errNone, core.Failure},
		{"gone long before a short one", 5 * ms, 40 * ms, 10 * ms, 0, -1, nil, core.Ignored},

		{"gone long before", 5 * ms, 3000 * ms, 1500 * ms, 0, 0, nil, core.Ignored},
		{"gone before", 5 * ms, 3000 * ms, 2649 * ms, 0, 0, nil, core.Ignored},
		{"gone about then", 5 * ms, 3000 * ms, 2650 * ms, 0, 0, nil, core.Failure},
		{"gone without a deadline", 5 * ms, 0, 3000 * ms, 0, 0, nil, core.Ignored},
		{"gone long before, and the handler goes on", 5 * ms, 3000 * ms, 10 * ms, 3000 * ms, 0, errUnavailable, core.Ignored},
		{"gone long before, and the handler succeeds", 5 * ms, 3000 * ms, 10 * ms, 2000 * ms, 0, errNone, core.Success},
		{"gone before a short deadline, and the handler goes on", 5 * ms, 900 * ms, 10 * ms, 5000 * ms, 0, errUnavailable, core.Ignored},
		{"gone before a short deadline, and the handler goes on until about then", 5 * ms, 900 * ms, 10 * ms, 1040 * ms, 0, errUnavailable, core.Failure},
		{"the same, a moment longer", 5 * ms, 900 * ms, 10 * ms, 1041 * ms, 0, errUnavailable, core.Ignored},

		{"the deadline of another, in time", 5 * ms, 900 * ms, 0, 300 * ms, 0, status.Error(codes.DeadlineExceeded, ""), core.Failure},
		{"the deadline of another, shorter than usual", 500 * ms, 400 * ms, 0, ms, 0, status.Error(codes.DeadlineExceeded, ""), core.Ignored},
		{"the deadline of another, as long as usual", 400 * ms, 400 * ms, 0, ms, 0, status.Error(codes.DeadlineExceeded, ""), core.Failure},
		{"one of two tries", 20 * ms, 30 * ms, 0, 15 * ms, 0, status.Error(codes.DeadlineExceeded, ""), core.Ignored},
		{"one of eight tries", 20 * ms, 240 * ms, 0, 30 * ms, 0, status.Error(codes.DeadlineExceeded, ""), core.Ignored},
		{"one of two tries that are long enough", 20 * ms, 80 * ms, 0, 40 * ms, 0, status.Error(codes.DeadlineExceeded, ""), core.Failure},
		{"a try that is trusted", 20 * ms, 30 * ms, 0, 15 * ms, -1, status.Error(codes.DeadlineExceeded, ""), core.Failure},
		{"another that was told of it", 500 * ms, 400 * ms, 0, 391 * ms, 0, errUnavailable, core.Ignored},
		{"another that was not", 500 * ms, 400 * ms, 0, 390 * ms, 0, errUnavailable, core.Failure},
		{"another that failed at once, though there is little time", 500 * ms, 9 * ms, 0, ms, 0, errUnavailable, core.Failure},
		{"another that was told of a long one", 5 * ms, 2000 * ms, 0, 1995 * ms, 0, errUnavailable, core.Failure},
		{"another, without a deadline", 5 * ms, 0, 0, 30_000 * ms, 0, errUnavailable, core.Failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, []string{unary, up}, func(t *testing.T, method string) {
				b := newBreaker(t, counting())
				warm := true
				run := func(ctx context.Context) error {
					switch {
					case warm:
						time.Sleep(c.usual)
						return nil
					case c.runs > 0:
						time.Sleep(c.runs)
					default:
						<-ctx.Done()
					}
					switch c.err {
					case nil:
						return ctx.Err()
					case errNone:
						return nil
					}
					return c.err
				}
				cc := connect(t, "passthrough:///memory", serve(t, backend{
					unary: func(ctx context.Context, text string) (string, error) { return text, run(ctx) },
					stream: func(method string, ss grpc.ServerStream) error {
						if err := run(ss.Context()); err != nil {
							return err
						}
						return answer(method, ss)
					},
				}, guards(grpcmw.ServerOptions{Gate: b, DeadlineFactor: c.factor})...))
				if err := call(bg, cc, method); err != nil {
					t.Fatal(err)
				}
				warm = false
				ctx, stop := context.WithCancel(bg)
				if c.deadline > 0 {
					ctx, stop = context.WithTimeout(bg, c.deadline)
				}
				defer stop()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, stop)
				}
				if err := call(ctx, cc, method); err == nil {
					t.Error("the call succeeded, want an error")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				want := times(1, c.want)
				want.success++
				if method == up && c.err == errNone && c.want == core.Success { // it is the client that does not take the answer
					want = counts{success: 1, ignored: 1}
				}
				if got := countsOf(b); got != want {
					t.Errorf("outcomes %+v, want %+v", got, want)
				}
			})
		})
	}
}

// TestAStreamThatHasNotBegunMakesRoom: a client that has sent nothing yet keeps no
// probe's place from another, and asks for it again when it sends.
func TestAStreamThatHasNotBegunMakesRoom(t *testing.T) {
	for _, receives := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, oneProbe())
			cc := connect(t, "passthrough:///memory", serve(t, backend{stream: func(method string, ss grpc.ServerStream) error {
				if !receives {
					time.Sleep(time.Second)
				}
				return answer(method, ss)
			}}, guards(grpcmw.ServerOptions{Gate: b})...))
			halfOpen(t, b)
			first := mustBegin(t, bg, cc, up)
			synctest.Wait()
			second := mustBegin(t, bg, cc, up)
			synctest.Wait()
			if got := b.Snapshot().Totals; got.Refused != 0 || got.Ignored != 1 || got.InFlight != 1 {
				t.Errorf("%d refused, %d ignored, %d in flight; want none, 1, 1", got.Refused, got.Ignored, got.InFlight)
			}
			if err := finish(second, up); err != nil {
				t.Error(err)
			}
			if got := countsOf(b).success; got != 1 {
				t.Errorf("%d successes when one has ended, want 1", got)
			}
			if err := finish(first, up); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			wantState(t, b, core.Closed) // by the first one, which got its place back
			if got := b.Snapshot().Totals.InFlight; got != 0 {
				t.Errorf("%d in flight, want none", got)
			}
		})
	}
}

// TestTheLeaseOfAProbeThatWaits: who has been answered may wait as long as it likes.
func TestTheLeaseOfAProbeThatWaits(t *testing.T) {
	for answers, want := range map[bool]core.Outcome{false: core.Ignored, true: core.Success} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, oneProbe())
			cc := connect(t, "passthrough:///memory", serve(t, backend{}, guards(grpcmw.ServerOptions{Gate: b, ProbeLease: 3 * time.Second})...))
			halfOpen(t, b)
			cs := mustBegin(t, bg, cc, both)
			if answers {
				if err := send(cs); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3*time.Second - 1)
			synctest.Wait()
			if got := countsOf(b); got != times(1, core.Failure) {
				t.Errorf("before the lease has passed: outcomes %+v, want none but that which opened it", got)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			wanted := times(1, want)
			wanted.failure++
			if got := countsOf(b); got != wanted {
				t.Errorf("answered %v: outcomes %+v, want %+v", answers, got, wanted)
			}
		})
	}
}

// TestARetryInfoWithoutADelay asks for nothing: then the trailer is read.
func TestARetryInfoWithoutADelay(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		st, err := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{})
		if err != nil {
			t.Fatal(err)
		}
		p := between(t, backend{
			unary: func(ctx context.Context, _ string) (string, error) {
				_ = grpc.SetTrailer(ctx, pushbackOf("5000"))
				return "", st.Err()
			},
			stream: func(_ string, ss grpc.ServerStream) error { ss.SetTrailer(pushbackOf("5000")); return st.Err() },
		}, oneProbe())
		wantCode(t, call(bg, p.cc, method), codes.Unavailable)
		time.Sleep(5*time.Second - 1)
		wantState(t, p.client, core.Open)
		time.Sleep(time.Nanosecond)
		wantState(t, p.client, core.HalfOpen)
	})
}

// TestAnAnswerIsToldAsItIs: what only a failure has read from it, an answer has not.
func TestAnAnswerIsToldAsItIs(t *testing.T) {
	var told []error
	cfg := counting()
	cfg.Hooks.Settled = func(_ context.Context, s core.Settlement) { told = append(told, s.Err) }
	st, err := status.New(codes.NotFound, "not yet").WithDetails(&errdetails.RetryInfo{RetryDelay: durationOf(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	err = st.Err()
	_ = grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: newBreaker(t, cfg)})(bg, unary, nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
		return err
	})
	if len(told) != 1 || !errors.Is(told[0], err) || told[0] != err {
		t.Errorf("told %v, want %v as it is", told, err)
	}
}
