package core_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// doers are the three ways to make a call behind a gate.
func doers(b *core.Breaker) map[string]func(context.Context, func(context.Context) error) error {
	return map[string]func(context.Context, func(context.Context) error) error{
		"Breaker.Do": b.Do,
		"Do": func(ctx context.Context, fn func(context.Context) error) error {
			_, err := core.Do(ctx, b, func(ctx context.Context) (int, error) { return 0, fn(ctx) })
			return err
		},
		"Wrap": func(ctx context.Context, fn func(context.Context) error) error {
			_, err := core.Wrap(b, func(ctx context.Context, _ string) (int, error) { return 0, fn(ctx) })(ctx, "in")
			return err
		},
		"All": func(ctx context.Context, fn func(context.Context) error) error {
			_, err := core.Do(ctx, core.All(b, core.All()), func(ctx context.Context) (int, error) { return 0, fn(ctx) })
			return err
		},
	}
}

// eachDoer runs a story with a fresh breaker for each way to make a call.
func eachDoer(t *testing.T, cfg core.Config, story func(t *testing.T, b *core.Breaker, do func(context.Context, func(context.Context) error) error)) {
	t.Helper()
	for name := range doers(nil) {
		bubble(t, name, func(t *testing.T) {
			b := newBreaker(t, cfg)
			story(t, b, doers(b)[name])
		})
	}
}

type doFunc = func(context.Context, func(context.Context) error) error

func TestDoReturnsWhatTheCallReturned(t *testing.T) {
	b := newBreaker(t, core.Config{})
	v, err := core.Do(bg, b, func(context.Context) (string, error) { return "answer", errSick })
	if v != "answer" || err != errSick {
		t.Errorf("Do = %q, %v; want both the answer and the error", v, err)
	}
	trip(t, b)
	v, err = core.Do(bg, b, func(context.Context) (string, error) { return "answer", nil })
	if v != "" || !errors.Is(err, core.ErrOpen) {
		t.Errorf("Do = %q, %v; want no answer and ErrOpen", v, err)
	}
}

// A panic fails the call and passes through, with value and stack.
func TestDoPanicPassesThrough(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"plain": 0, "with CallTimeout": time.Minute} {
		t.Run(name, func(t *testing.T) {
			eachDoer(t, core.Config{FailureThreshold: 1, CallTimeout: timeout}, func(t *testing.T, b *core.Breaker, do doFunc) {
				type mine struct{ why string }
				var stack string
				func() {
					defer func() {
						if got := recover(); got != (mine{"panic"}) {
							t.Errorf("recovered %v, want the call's own value", got)
						}
						buf := make([]byte, 64<<10)
						stack = string(buf[:runtime.Stack(buf, false)])
					}()
					_ = do(bg, func(context.Context) error { thePanicker(mine{"panic"}); return nil })
				}()
				if !strings.Contains(stack, "thePanicker") {
					t.Errorf("the stack at recover does not show where the panic began:\n%s", stack)
				}
				wantState(t, b, core.Open)
				wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
			})
		})
	}
}

//go:noinline
func thePanicker(v any) { panic(v) }

func TestDoGoexitIsAFailure(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"plain": 0, "with CallTimeout": time.Minute} {
		t.Run(name, func(t *testing.T) {
			eachDoer(t, core.Config{FailureThreshold: 1, CallTimeout: timeout}, func(t *testing.T, b *core.Breaker, do doFunc) {
				var wg sync.WaitGroup
				returned := false
				wg.Go(func() {
					_ = do(bg, func(context.Context) error { runtime.Goexit(); return nil })
					returned = true
				})
				wg.Wait()
				if returned {
					t.Error("Do returned, want the goroutine to end")
				}
				wantState(t, b, core.Open)
				wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
			})
		})
	}
}

// A context that is already done takes no permit, and asks no gate.
func TestDoContextAlreadyDone(t *testing.T) {
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	expired, stop := context.WithTimeout(bg, -1)
	defer stop()
	for name, ctx := range map[string]context.Context{"cancelled": cancelled, "expired": expired} {
		for _, state := range []core.State{core.Closed, core.Open, core.HalfOpen} {
			bubble(t, name+" "+state.String(), func(t *testing.T) {
				var told diary
				b := inState(t, state, core.Config{Hooks: told.hooks(), HalfOpenMaxCalls: 1})
				before, settled := b.Snapshot(), len(told.settled)
				for doer, do := range doers(b) {
					err := do(ctx, func(context.Context) error { t.Errorf("%s made the call", doer); return nil })
					if !errors.Is(err, ctx.Err()) || errors.Is(err, core.ErrOpen) {
						t.Errorf("%s = %v, want %v", doer, err, ctx.Err())
					}
				}
				after := b.Snapshot()
				if after.Totals != before.Totals || after.ProbesOut != 0 || len(told.refused) != 0 || len(told.settled) != settled {
					t.Errorf("counted %+v, was %+v; refused %v, %d probes out", after.Totals, before.Totals, told.refused, after.ProbesOut)
				}
			})
		}
	}
}

// The call timeout.
func TestDoCallTimeout(t *testing.T) {
	t.Run("the deadline is given", func(t *testing.T) {
		eachDoer(t, core.Config{CallTimeout: time.Second}, func(t *testing.T, b *core.Breaker, do doFunc) {
			want := time.Now().Add(time.Second)
			err := do(bg, func(ctx context.Context) error {
				if got, ok := ctx.Deadline(); !ok || !got.Equal(want) {
					t.Errorf("deadline %v %t, want %v", got, ok, want)
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Do = %v, want the call's own error", err)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
		})
	})
	t.Run("58 a late nil is a failure and a timeout", func(t *testing.T) {
		eachDoer(t, core.Config{CallTimeout: time.Second, FailureThreshold: 1}, func(t *testing.T, b *core.Breaker, do doFunc) {
			if err := do(bg, func(context.Context) error { time.Sleep(2 * time.Second); return nil }); err != nil {
				t.Errorf("Do = %v, want nil as the call returned it", err)
			}
			wantState(t, b, core.Open)
			wantTotals(t, b, core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
		})
	})
	t.Run("in time is a success", func(t *testing.T) {
		eachDoer(t, core.Config{CallTimeout: time.Second}, func(t *testing.T, b *core.Breaker, do doFunc) {
			if err := do(bg, func(context.Context) error { time.Sleep(time.Second - 1); return nil }); err != nil {
				t.Errorf("Do = %v, want nil", err)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
		})
	})
	t.Run("a caller's earlier deadline is not our timeout", func(t *testing.T) {
		eachDoer(t, core.Config{CallTimeout: time.Minute}, func(t *testing.T, b *core.Breaker, do doFunc) {
			ctx, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			_ = do(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil })
			wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
		})
	})
	t.Run("a caller that gave up first is no timeout", func(t *testing.T) {
		eachDoer(t, core.Config{CallTimeout: time.Second}, func(t *testing.T, b *core.Breaker, do doFunc) {
			ctx, cancel := context.WithCancel(bg)
			_ = do(ctx, func(ctx context.Context) error {
				cancel()
				time.Sleep(time.Minute)
				return ctx.Err()
			})
			wantTotals(t, b, core.Totals{Calls: 1, Ignored: 1})
		})
	})
	t.Run("off", func(t *testing.T) {
		for _, off := range []time.Duration{0, -1} {
			eachDoer(t, core.Config{CallTimeout: off}, func(t *testing.T, b *core.Breaker, do doFunc) {
				_ = do(bg, func(ctx context.Context) error {
					if d, ok := ctx.Deadline(); ok {
						t.Errorf("deadline %v, want none", d)
					}
					time.Sleep(time.Hour)
					return nil
				})
				wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
			})
		}
	})
	bubble(t, "the context is released when the call ends", func(t *testing.T) {
		b := newBreaker(t, core.Config{CallTimeout: time.Hour})
		var kept context.Context
		_ = b.Do(bg, func(ctx context.Context) error { kept = ctx; return nil })
		if kept.Err() == nil {
			t.Error("the call's context is alive after Do, want its timer stopped")
		}
	})
	bubble(t, "a timeout may say when to come back", func(t *testing.T) {
		b := newBreaker(t, core.Config{CallTimeout: time.Second, FailureThreshold: 1, Timeout: time.Minute})
		_ = b.Do(bg, func(ctx context.Context) error { <-ctx.Done(); return core.RetryAfter(ctx.Err(), 5*time.Minute) })
		if got := breakOf(t, b); got != 5*time.Minute {
			t.Errorf("the break lasts %v, want 5m", got)
		}
	})
}

// Checklist 75, second half: a call keeps the timeout it began with.
func TestDoTimeoutIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{CallTimeout: time.Second})
		err := b.Do(bg, func(ctx context.Context) error {
			if err := b.Update(core.Config{CallTimeout: time.Hour}); err != nil {
				t.Fatal(err)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do = %v, want the deadline of the call's start", err)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
	})
}

// The wrapped function; the caller of Wrap keeps the breaker.
func TestWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, core.Config{FailureThreshold: 2})
		sick := false
		double := core.Wrap(b, func(_ context.Context, n int) (int, error) {
			if sick {
				return n, errSick
			}
			return 2 * n, nil
		})
		if got, err := double(bg, 21); got != 42 || err != nil {
			t.Fatalf("double(21) = %d, %v; want 42, nil", got, err)
		}
		sick = true
		for range 2 {
			if got, err := double(bg, 21); got != 21 || !errors.Is(err, errSick) {
				t.Fatalf("double(21) = %d, %v; want what the function returned, 21 and its error", got, err)
			}
		}
		if got, err := double(bg, 21); got != 0 || !errors.Is(err, core.ErrOpen) {
			t.Fatalf("double(21) = %d, %v; want 0 and ErrOpen", got, err)
		}
		wantState(t, b, core.Open)
	})
}
