package ralph_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

func dialing(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
}

// innocent are errors of an iteration that say nothing about the agent.
func innocent() map[string]error {
	looking := &net.DNSError{Err: "i/o timeout", Name: "example.org", IsTimeout: true}
	return map[string]error{
		"no descriptor":         &os.PathError{Op: "open", Path: "notes", Err: syscall.EMFILE},
		"no descriptor at all":  fmt.Errorf("reading: %w", &os.PathError{Op: "open", Path: "notes", Err: syscall.ENFILE}),
		"none for a socket":     &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)},
		"none for a listener":   &net.OpError{Op: "listen", Err: os.NewSyscallError("socket", syscall.EMFILE)},
		"no port":               dialing(syscall.EADDRNOTAVAIL),
		"no port, said so":      dialing(syscall.EADDRINUSE),
		"no port, bare":         syscall.EADDRNOTAVAIL,
		"no memory":             &os.PathError{Op: "fork/exec", Path: "/bin/sh", Err: syscall.ENOMEM},
		"no buffers":            dialing(syscall.ENOBUFS),
		"no process":            &os.PathError{Op: "fork/exec", Path: "/bin/sh", Err: syscall.EAGAIN},
		"no room on the disk":   &os.PathError{Op: "write", Path: "notes", Err: syscall.ENOSPC},
		"the resolver is late":  fmt.Errorf("calling the model: %w", &net.OpError{Op: "dial", Err: looking}),
		"the resolver is away":  &net.DNSError{Err: "server misbehaving", Name: "example.org", IsTemporary: true},
		"no descriptor for DNS": &net.DNSError{UnwrapErr: dialing(syscall.EMFILE), Err: "x"},
		"no root certificates":  fmt.Errorf("tls: %w", x509.SystemRootsError{Err: errWork}),
		"an open breaker":       fmt.Errorf("search: %w", &core.OpenError{Name: "search", State: core.Open}),
		"a paused agent":        fmt.Errorf("helper: %w", &ralph.PausedError{Agent: "helper", State: ralph.Paused}),
		"the host":              &failsafe.Error{Conditions: []failsafe.Condition{hot(failsafe.Medium)}},
		"an unknown agent":      ralph.ErrUnknownAgent,
		"a budget":              &detect.ExhaustedError{},
		"several":               errors.Join(errors.New("search"), syscall.EMFILE),
	}
}

// guilty are those that do.
func guilty() map[string]error {
	return map[string]error{
		"its work":                   errWork,
		"refused by the other side":  dialing(syscall.ECONNREFUSED),
		"hung up":                    dialing(syscall.ECONNRESET),
		"no such host":               &net.DNSError{Err: "no such host", Name: "example.org", IsNotFound: true},
		"no such host, temporary":    &net.DNSError{Err: "no such host", Name: "example.org", IsNotFound: true, IsTemporary: true},
		"a name that is none":        &net.DNSError{Err: "bad name", Name: "example..org"},
		"a port in use":              &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)},
		"no such file":               &os.PathError{Op: "open", Path: "notes", Err: syscall.ENOENT},
		"no such program":            &os.PathError{Op: "fork/exec", Path: "sh", Err: syscall.ENOENT},
		"not ready":                  syscall.EAGAIN,
		"not ready to be read":       &os.PathError{Op: "read", Path: "pipe", Err: syscall.EAGAIN},
		"words about a shortage":     errors.New("dial tcp: socket: too many open files"),
		"words about a pause":        errors.New(ralph.ErrAgentPaused.Error()),
		"its own time-out":           context.DeadlineExceeded,
		"its own cancellation":       context.Canceled,
		"a time-out of a connection": &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
	}
}

// ways are how an iteration is made that does what fn does.
var ways = map[string]func(ctx context.Context, a *ralph.Agent, fn func() error) error{
	"Execute": func(ctx context.Context, a *ralph.Agent, fn func() error) error {
		return a.Execute(ctx, func(context.Context) error { return fn() })
	},
	"core.Do": func(ctx context.Context, a *ralph.Agent, fn func() error) error {
		_, err := core.Do(ctx, a, func(context.Context) (int, error) { return 0, fn() })
		return err
	},
	"a permit": func(ctx context.Context, a *ralph.Agent, fn func() error) error {
		p, err := a.Allow(ctx)
		if err != nil {
			return err
		}
		err = fn()
		p.Done(ctx, err)
		return err
	},
}

// TestOnlyItsOwnFailuresCountForABreaker, while closed and when it is tried whether the
// agent works again.
func TestOnlyItsOwnFailuresCountForABreaker(t *testing.T) {
	for way, do := range ways {
		for name, err := range innocent() {
			t.Run(way+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, _ := supervise(t, unruled())
					defer closeNow(t, s)
					a := monitor(t, s, "a", ralph.Options{})
					for range 10 {
						if got := do(t.Context(), a, func() error { return err }); !errors.Is(got, err) {
							t.Fatal(got)
						}
					}
					if st := a.Status(); st.Breaker != core.Closed {
						t.Fatalf("its breaker is %v", st.Breaker)
					}
					for range 3 {
						_ = do(t.Context(), a, func() error { return errWork })
					}
					time.Sleep(time.Minute) // the breaker is half-open
					for range 10 {
						if got := do(t.Context(), a, func() error { return err }); !errors.Is(got, err) {
							t.Fatalf("as a probe: %v", got)
						}
					}
					if st := a.Status(); st.Breaker != core.HalfOpen {
						t.Errorf("after probes, its breaker is %v", st.Breaker)
					}
					for range 3 {
						if got := do(t.Context(), a, func() error { return nil }); got != nil {
							t.Fatal(got)
						}
					}
					if st := a.Status(); st.Breaker != core.Closed {
						t.Errorf("and then %v", st.Breaker)
					}
				})
			})
		}
		for name, err := range guilty() {
			t.Run(way+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, _ := supervise(t, unruled())
					defer closeNow(t, s)
					a := monitor(t, s, "a", ralph.Options{})
					for range 3 {
						_ = do(t.Context(), a, func() error { return err })
					}
					if st := a.Status(); st.Breaker != core.Open {
						t.Errorf("its breaker is %v", st.Breaker)
					}
				})
			})
		}
	}
}

// unruled are settings by which no rule pauses an agent for iterations that failed.
func unruled() ralph.Config {
	cfg := plain()
	off := detect.Limits{Nudge: -1, Trip: -1}
	cfg.Rules.Failures, cfg.Rules.Transient = off, off
	return cfg
}

// TestTheCallersEndIsNotTheAgents: a cancellation counts nothing, whatever error comes
// of it; a deadline does, since an agent that hangs shows in no other way.
func TestTheCallersEndIsNotTheAgents(t *testing.T) {
	for way, do := range ways {
		synctest.Test(t, func(t *testing.T) {
			s, _ := supervise(t, unruled())
			defer closeNow(t, s)
			cancelled, late := monitor(t, s, "cancelled", ralph.Options{}), monitor(t, s, "late", ralph.Options{})
			for range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				ctx2, cancel2 := context.WithTimeout(t.Context(), time.Second)
				_ = do(ctx, cancelled, func() error { cancel(); return errWork })
				_ = do(ctx2, late, func() error { time.Sleep(2 * time.Second); return errWork })
				cancel()
				cancel2()
			}
			if st := cancelled.Status(); st.Breaker != core.Closed || st.Totals.Failures != 0 || st.InFlight != 0 {
				t.Errorf("%s, cancelled: %v, %+v", way, st.Breaker, st.Totals)
			}
			if st := late.Status(); st.Breaker != core.Open {
				t.Errorf("%s, a deadline: %v", way, st.Breaker)
			}
		})
	}
}

// TestShortagesAreTransient: an iteration that this machine had no room for is not the
// agent's failure, but it does not go on in a loop.
func TestShortagesAreTransient(t *testing.T) {
	for name, err := range innocent() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := supervise(t, plain())
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				n := 0
				for ; a.AllowModelCall(t.Context()) == nil && n < 20; n++ {
					_ = a.Execute(t.Context(), func(context.Context) error { return err })
				}
				if st := a.Status(); n != 5 || st.State != ralph.Paused || st.Cause.Reason != detect.ReasonTransient || st.Breaker != core.Closed {
					t.Errorf("after %d: %v for %v, its breaker is %v", n, st.State, st.Cause, st.Breaker)
				}
			})
		})
	}
}

// TestItsOwnClassifyHolds: whatever says nothing by default is what the caller says.
func TestItsOwnClassifyHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := unruled()
		cfg.Breaker.Classify = func(_ context.Context, err error) core.Outcome {
			if errors.Is(err, syscall.EMFILE) {
				return core.Failure
			}
			return core.Success
		}
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 10 {
			_ = iterate(a, errWork)
		}
		if st := a.Status(); st.Breaker != core.Closed {
			t.Errorf("its breaker is %v", st.Breaker)
		}
		for range 3 {
			_ = iterate(a, syscall.EMFILE)
		}
		if st := a.Status(); st.Breaker != core.Open {
			t.Errorf("its breaker is %v", st.Breaker)
		}
	})
}

// TestPanicAndExitAreFailures of an iteration, also while it is tried.
func TestPanicAndExitAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, unruled())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		leave := func(do func()) {
			done := make(chan bool)
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = a.Execute(t.Context(), func(context.Context) error { do(); return nil })
			}()
			<-done
		}
		leave(runtime.Goexit)
		leave(func() { panic("boom") })
		leave(runtime.Goexit)
		if st := a.Status(); st.Breaker != core.Open || st.Totals.Failures != 3 || st.InFlight != 0 {
			t.Fatalf("%v, %+v", st.Breaker, st)
		}
		if text := a.Explain(); !strings.Contains(text, "its circuit breaker is open: ") || !strings.Contains(text, "probes are let through in ") {
			t.Errorf("it does not say what it waits for:\n%s", text)
		}
		time.Sleep(time.Minute)
		if text := a.Explain(); !strings.Contains(text, "its circuit breaker is half-open: ") {
			t.Errorf("it does not say what it waits for:\n%s", text)
		}
		leave(runtime.Goexit)
		if st := a.Status(); st.Breaker != core.Open {
			t.Errorf("after a probe that left, its breaker is %v", st.Breaker)
		}
	})
}

// TestSlowAndWell: an agent that is well and takes long for an iteration is let work
// again, and its breaker closes; meanwhile Explain says what it waits for.
func TestSlowAndWell(t *testing.T) {
	for _, takes := range []time.Duration{45 * time.Second, 5 * time.Minute} {
		for way, do := range ways {
			t.Run(fmt.Sprint(way, " of ", takes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := plain()
					if way != "a permit" {
						cfg.Breaker.CallTimeout = max(0, takes-45*time.Second) * 2 // by default a call is ended after 2 min
					}
					s, d := supervise(t, cfg)
					defer closeNow(t, s)
					a := monitor(t, s, "a", ralph.Options{})
					for range 3 {
						_ = do(t.Context(), a, func() error { return errWork })
					}
					if st := a.Status(); st.Breaker != core.Open || st.State != ralph.Paused {
						t.Fatalf("%v, %v", st.Breaker, st.State)
					}
					begun := time.Now()
					var explained atomic.Bool
					go func() { // as an operator looks
						for range 1000 {
							time.Sleep(10 * time.Second)
							if text := a.Explain(); strings.Contains(text, "its circuit breaker is half-open: ") && strings.Contains(text, "are out") {
								explained.Store(true)
							}
						}
					}()
					for a.Status().Breaker != core.Closed && time.Since(begun) < time.Hour {
						if do(t.Context(), a, func() error { time.Sleep(takes); return nil }) != nil {
							time.Sleep(time.Second)
						}
					}
					if st := a.Status(); st.Breaker != core.Closed || st.State != ralph.Running || !explained.Load() || len(d.of(ralph.EventEscalated)) > 0 {
						t.Errorf("after %v: its breaker is %v, it is %v, explained %v\n%s", time.Since(begun), st.Breaker, st.State, explained.Load(), a.Explain())
					}
					if took, most := time.Since(begun), 3*takes+4*time.Minute; took > most {
						t.Errorf("it took %v, want %v at most", took, most)
					}
					time.Sleep(3 * time.Hour) // for the operator
				})
			})
		}
	}
}

// TestSomeIterationsHang: those that hang for ever do not keep one that is well from
// closing the breaker, and few are out.
func TestSomeIterationsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := unruled()
		cfg.Breaker.HalfOpenMaxCalls, cfg.Breaker.SuccessThreshold = 1, 1
		s, _ := supervise(t, cfg)
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 3 {
			_ = iterate(a, errWork)
		}
		var out []core.Permit
		begun := time.Now()
		for time.Since(begun) < 24*time.Hour {
			time.Sleep(time.Second)
			if p, err := a.Allow(t.Context()); err == nil {
				out = append(out, p.Move())
			}
		}
		if n := a.Status().InFlight; n != len(out) || n < 1 {
			t.Errorf("%d are out of %d", n, len(out))
		}
		last := &out[len(out)-1]
		last.Done(t.Context(), nil)
		if st := a.Status(); st.Breaker != core.Closed {
			t.Errorf("its breaker is %v\n%s", st.Breaker, a.Explain())
		}
		for i := range out {
			out[i].Done(t.Context(), nil)
		}
		if st := a.Status(); st.InFlight != 0 {
			t.Errorf("%d are out", st.InFlight)
		}
	})
}
