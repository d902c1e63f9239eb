package core_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

func TestDefaultClassify(t *testing.T) {
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	because, cancelCause := context.WithCancelCause(bg)
	cancelCause(errSick)
	expired, stop := context.WithTimeout(bg, -time.Second)
	defer stop()
	refused := &core.OpenError{Name: "inner"}
	for _, row := range []struct {
		name string
		ctx  context.Context
		err  error
		want core.Outcome
	}{
		{"no error", bg, nil, core.Success},
		{"no error, caller cancelled", cancelled, nil, core.Success},
		{"no error, caller's deadline passed", expired, nil, core.Success},
		{"error", bg, errSick, core.Failure},
		{"error, no context", nil, errSick, core.Failure},
		{"caller cancelled", cancelled, context.Canceled, core.Ignored},
		{"caller cancelled with a cause", because, errSick, core.Ignored},
		{"caller cancelled, the driver says it in its own words", cancelled, errors.New("operation was canceled"), core.Ignored},
		{"cancelled, but not by the caller", bg, context.Canceled, core.Failure},
		{"caller's deadline passed", expired, context.DeadlineExceeded, core.Failure},
		{"caller's deadline passed, another error", expired, errSick, core.Failure},
		{"deadline exceeded below", bg, context.DeadlineExceeded, core.Failure},
		{"another gate's refusal", bg, refused, core.Ignored},
		{"another gate's refusal, wrapped", bg, fmt.Errorf("call: %w", refused), core.Ignored},
		{"the sentinel itself", bg, core.ErrOpen, core.Ignored},
		{"another gate's refusal after the caller's deadline", expired, refused, core.Failure},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := core.DefaultClassify(row.ctx, row.err); got != row.want {
				t.Errorf("DefaultClassify(%v) = %v, want %v", row.err, got, row.want)
			}
			b := newBreaker(t, core.Config{})
			take(t, b).Done(row.ctx, row.err)
			want := core.Totals{Calls: 1}
			switch row.want {
			case core.Success:
				want.Successes = 1
			case core.Failure:
				want.Failures = 1
			case core.Ignored:
				want.Ignored = 1
			}
			got := b.Snapshot().Totals
			got.Timeouts = 0
			if got != want {
				t.Errorf("Done counted %+v, want %+v", got, want)
			}
		})
	}
}

var errNotFound = errors.New("not found")

func TestClassify(t *testing.T) {
	ignoreNotFound := func(ctx context.Context, err error) core.Outcome {
		if errors.Is(err, errNotFound) {
			return core.Ignored
		}
		return core.DefaultClassify(ctx, err)
	}
	notFoundIsFine := func(ctx context.Context, err error) core.Outcome {
		if errors.Is(err, errNotFound) {
			return core.Success
		}
		return core.DefaultClassify(ctx, err)
	}
	times := func(n int, b *core.Breaker, err error) {
		for range n {
			_ = b.Do(bg, func(context.Context) error { return err })
		}
	}
	bubble(t, "61 errors that are the caller's fault never open", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3, FailureRateThreshold: 0.01, Classify: notFoundIsFine})
		times(1000, b, errNotFound)
		wantState(t, b, core.Closed)
		wantTotals(t, b, core.Totals{Calls: 1000, Successes: 1000})
		times(3, b, context.DeadlineExceeded)
		wantState(t, b, core.Open)
	})
	bubble(t, "59 an excluded error is neither, wrapped or not", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2, Classify: ignoreNotFound})
		times(1, b, errSick)
		times(10, b, errNotFound)
		times(10, b, fmt.Errorf("get user: %w", errNotFound))
		wantTotals(t, b, core.Totals{Calls: 21, Failures: 1, Ignored: 20})
		wantWindow(t, b, core.Counts{Calls: 1, Failures: 1, Consecutive: 1})
	})
	bubble(t, "55 an error may be a success", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2, Classify: notFoundIsFine})
		times(1, b, errSick)
		times(5, b, errNotFound)
		wantTotals(t, b, core.Totals{Calls: 6, Successes: 5, Failures: 1})
		wantWindow(t, b, core.Counts{Calls: 6, Failures: 1})
	})
	bubble(t, "an answer may be a failure", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2})
		for _, status := range []int{200, 503, 404, 503, 503} {
			p := take(t, b)
			if status >= 500 {
				p.Settle(bg, core.Failure)
			} else {
				p.Settle(bg, core.Success)
			}
		}
		wantState(t, b, core.Open)
		wantTotals(t, b, core.Totals{Calls: 5, Successes: 2, Failures: 3})
	})
	bubble(t, "the caller's context decides, and a Classify may flip it", func(t *testing.T) {
		call := func(b *core.Breaker) {
			ctx, cancel := context.WithCancel(bg)
			_ = b.Do(ctx, func(ctx context.Context) error {
				cancel()
				return errSick
			})
		}
		b := newBreaker(t, core.Config{FailureThreshold: 1})
		call(b)
		wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
		strict := newBreaker(t, core.Config{FailureThreshold: 1, Classify: func(_ context.Context, err error) core.Outcome {
			if err != nil {
				return core.Failure
			}
			return core.Success
		}})
		call(strict)
		wantState(t, strict, core.Open)
	})
	bubble(t, "the caller's deadline counts, or a hang would never show", func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 3})
		for range 3 {
			ctx, cancel := context.WithTimeout(bg, time.Second)
			_ = b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			cancel()
		}
		wantState(t, b, core.Open)
		wantTotals(t, b, core.Totals{Calls: 3, Failures: 3, Timeouts: 3})
	})
	bubble(t, "a cancelled probe does not close", func(t *testing.T) {
		b := halfOpened(t, core.Config{SuccessThreshold: 1, HalfOpenMaxCalls: 1})
		for range 5 {
			ctx, cancel := context.WithCancel(bg)
			p, err := b.Allow(ctx)
			if err != nil {
				t.Fatalf("Allow = %v, want a probe", err)
			}
			cancel()
			p.Done(ctx, ctx.Err())
			wantState(t, b, core.HalfOpen)
		}
		wantWindow(t, b, core.Counts{})
	})
	bubble(t, "a nested breaker's refusal does not open the outer one", func(t *testing.T) {
		inner, outer := opened(t, core.Config{}), newBreaker(t, core.Config{FailureThreshold: 1})
		for range 100 {
			err := outer.Do(bg, func(ctx context.Context) error {
				return inner.Do(ctx, func(context.Context) error { return nil })
			})
			if !errors.Is(err, core.ErrOpen) {
				t.Fatalf("Do = %v, want the inner refusal", err)
			}
		}
		wantState(t, outer, core.Closed)
		wantTotals(t, outer, core.Totals{Calls: 100, Ignored: 100})
	})
}

func TestClassifyIsGivenTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var got []any
		b := newBreaker(t, core.Config{CallTimeout: time.Second, Classify: func(ctx context.Context, err error) core.Outcome {
			_, limited := ctx.Deadline()
			got = append(got, ctx.Value(key{}), limited, err)
			return core.Success
		}})
		ctx := context.WithValue(bg, key{}, "caller")
		_ = b.Do(ctx, func(context.Context) error { return errSick })
		if len(got) != 3 || got[0] != "caller" || got[1] != false || got[2] != errSick {
			t.Errorf("Classify was given %v, want the caller's value, no deadline, and the error", got)
		}
	})
}

// Classify runs with no lock held: it may call the breaker.
func TestClassifyMayCallTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *core.Breaker
		b = newBreaker(t, core.Config{FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Second, Classify: func(ctx context.Context, err error) core.Outcome {
			_, _, _, _ = b.State(), b.Snapshot(), b.Health(), b.Explain()
			if p, err := b.Allow(ctx); err == nil {
				p.Settle(ctx, core.Ignored)
			}
			return core.DefaultClassify(ctx, err)
		}})
		take(t, b).Done(bg, errSick)
		wantState(t, b, core.Open)
		time.Sleep(time.Second)
		take(t, b).Done(bg, nil)
		wantState(t, b, core.Closed)
	})
}

func TestClassifyGarbageIsAFailure(t *testing.T) {
	for _, o := range []core.Outcome{0, 4, 255} {
		bubble(t, o.String(), func(t *testing.T) {
			b := newBreaker(t, core.Config{FailureThreshold: 2, Classify: func(context.Context, error) core.Outcome { return o }})
			take(t, b).Done(bg, nil)
			take(t, b).Settle(bg, o)
			wantState(t, b, core.Open)
			wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
		})
	}
}

// A Classify that panics passes its panic on; the call is then a failure and no
// permit is out, alone and behind All.
func TestClassifyPanics(t *testing.T) {
	for name, gates := range map[string]func(a, b *core.Breaker) core.Gate{
		"alone": func(a, _ *core.Breaker) core.Gate { return a },
		"first": func(a, b *core.Breaker) core.Gate { return core.All(a, b) },
		"last":  func(a, b *core.Breaker) core.Gate { return core.All(b, a) },
		"timed": func(a, _ *core.Breaker) core.Gate {
			_ = a.Update(core.Config{CallTimeout: time.Second, Classify: func(context.Context, error) core.Outcome { panic("classify") }})
			return a
		},
	} {
		bubble(t, name, func(t *testing.T) {
			sick := newBreaker(t, core.Config{Classify: func(context.Context, error) core.Outcome { panic("classify") }})
			well := newBreaker(t, core.Config{})
			func() {
				defer func() {
					if got := recover(); got != "classify" {
						t.Errorf("recovered %v, want the classifier's panic", got)
					}
				}()
				_, _ = core.Do(bg, gates(sick, well), func(context.Context) (int, error) { return 1, nil })
			}()
			wantTotals(t, sick, core.Totals{Calls: 1, Failures: 1})
			if got := well.Snapshot().Totals; got.InFlight != 0 || got.Successes != got.Calls {
				t.Errorf("the other breaker counted %+v, want its success and nothing in flight", got)
			}
		})
	}
}

// What this machine lacks is no failure of a dependency, told by type, on closed
// and half-open breakers; what the other side answers is one.
func TestShortagesOfThisMachineAreIgnored(t *testing.T) {
	dialing := func(err error) error {
		return fmt.Errorf("calling: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for name, row := range map[string]struct {
		err  error
		want core.Outcome
	}{
		"no descriptor":               {&os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE}, core.Ignored},
		"none in the system":          {dialing(syscall.ENFILE), core.Ignored},
		"no port":                     {dialing(syscall.EADDRNOTAVAIL), core.Ignored},
		"no port, said otherwise":     {dialing(syscall.EADDRINUSE), core.Ignored},
		"no memory":                   {dialing(syscall.ENOMEM), core.Ignored},
		"no buffers":                  {dialing(syscall.ENOBUFS), core.Ignored},
		"bare":                        {syscall.EMFILE, core.Ignored},
		"one of several":              {errors.Join(errSick, syscall.EMFILE), core.Ignored},
		"the resolver is late":        {dialing(&net.DNSError{Err: "x", IsTimeout: true}), core.Ignored},
		"the resolver is away":        {&net.DNSError{Err: "x", IsTemporary: true}, core.Ignored},
		"no descriptor to resolve":    {&net.DNSError{UnwrapErr: dialing(syscall.EMFILE), Err: "x"}, core.Ignored},
		"a host that does not exist":  {dialing(&net.DNSError{Err: "no such host", IsNotFound: true}), core.Failure},
		"not found, temporary":        {&net.DNSError{Err: "x", IsNotFound: true, IsTemporary: true}, core.Failure},
		"a name that is none":         {&net.DNSError{Err: "bad name"}, core.Failure},
		"refused":                     {dialing(syscall.ECONNREFUSED), core.Failure},
		"reset":                       {dialing(syscall.ECONNRESET), core.Failure},
		"a time-out":                  {dialing(syscall.ETIMEDOUT), core.Failure},
		"unreachable":                 {dialing(syscall.EHOSTUNREACH), core.Failure},
		"a full disk":                 {&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, core.Failure},
		"a port in use, to listen on": {&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}, core.Failure},
		"no descriptor to listen":     {&net.OpError{Op: "listen", Err: os.NewSyscallError("socket", syscall.EMFILE)}, core.Ignored},
		"words":                       {errors.New("dial tcp: socket: too many open files"), core.Failure},
	} {
		bubble(t, name, func(t *testing.T) {
			if got := core.DefaultClassify(bg, row.err); got != row.want || core.LocalShortage(row.err) != (row.want == core.Ignored) {
				t.Fatalf("DefaultClassify = %v, want %v", got, row.want)
			}
			closed := newBreaker(t, core.Config{})
			half := halfOpened(t, core.Config{})
			for range 10 {
				for _, b := range []*core.Breaker{closed, half} {
					_ = b.Do(bg, func(context.Context) error { return row.err })
				}
			}
			if row.want == core.Ignored {
				wantState(t, closed, core.Closed)
				wantState(t, half, core.HalfOpen)
			} else {
				wantState(t, closed, core.Open)
				wantState(t, half, core.Open)
			}
		})
	}
	if core.LocalShortage(nil) {
		t.Error("nil is a shortage")
	}
	ctx, cancel := context.WithTimeout(bg, -1)
	defer cancel()
	if got := core.DefaultClassify(ctx, syscall.EMFILE); got != core.Failure {
		t.Errorf("past the caller's deadline: %v, want %v", got, core.Failure)
	}
}
