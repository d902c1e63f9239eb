package presets_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// elsewhere are errors of calls that say nothing about the dependency.
func elsewhere(t *testing.T) map[string]error {
	t.Helper()
	other := core.MustNew("inner", core.Config{FailureThreshold: 1})
	failing(t, other, 1)
	_, refusal := other.Allow(t.Context())
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", err)}
	}
	return map[string]error{
		"no descriptor":             dial(syscall.EMFILE),
		"no descriptor on a file":   &os.PathError{Op: "open", Path: "x", Err: syscall.EMFILE},
		"no descriptor at all":      fmt.Errorf("fetch: %w", dial(syscall.ENFILE)),
		"no port":                   dial(syscall.EADDRNOTAVAIL),
		"no port to listen on":      dial(syscall.EADDRINUSE),
		"no memory":                 errors.Join(errDown, dial(syscall.ENOMEM)),
		"no buffers":                dial(syscall.ENOBUFS),
		"a resolver that is silent": &net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true, IsTemporary: true},
		"a resolver that is down":   &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true}},
		"another gate's refusal":    fmt.Errorf("inner: %w", refusal),
	}
}

// answers are errors that do say something.
func answers() map[string]error {
	return map[string]error{
		"refused":                   &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"reset":                     syscall.ECONNRESET,
		"no route":                  syscall.EHOSTUNREACH,
		"no such host":              &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true},
		"no such host, for now":     &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true, IsTemporary: true},
		"a resolver's other answer": &net.DNSError{Err: "invalid", Name: "x"},
		"a full disk":               &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC},
		"only the text of it":       errors.New("socket: too many open files"),
		"cut short":                 io.ErrUnexpectedEOF,
	}
}

func TestOnlyTheDependencyIsJudged(t *testing.T) {
	for name, p := range everyPolicy() {
		for what, err := range elsewhere(t) {
			inBubble(t, name+", "+what, func(t *testing.T) {
				fails := true
				p := in(new(presets.Registry), p)
				call := presets.MustProtectFunc("x", p, func(context.Context) error {
					if fails {
						return err
					}
					return nil
				})
				b := breakerOf(t, p.Registry, "x")
				for range 100 {
					if got := call(t.Context()); got != err {
						t.Fatalf("the call = %v, want the error itself", got)
					}
				}
				totalsAre(t, b, core.Totals{Calls: 100, Ignored: 100})
				// Nor does it say that a probe failed, or passed.
				fails = false
				for b.State() == core.Closed {
					_ = b.Do(t.Context(), func(context.Context) error { return errDown })
				}
				fails = true
				time.Sleep(b.Config().Timeout)
				for range 10 {
					_ = call(t.Context())
				}
				stateIs(t, b, core.HalfOpen)
				fails = false
				for range b.Config().SuccessThreshold {
					_ = call(t.Context())
				}
				stateIs(t, b, core.Closed)
			})
		}
		for what, err := range answers() {
			inBubble(t, name+", "+what, func(t *testing.T) {
				p := in(new(presets.Registry), p)
				call := presets.MustProtectFunc("x", p, func(context.Context) error { return err })
				for range 10 {
					_ = call(t.Context())
				}
				stateIs(t, breakerOf(t, p.Registry, "x"), core.Open)
			})
		}
	}
}

// The caller who goes away says nothing; one whose time is over does.
func TestTheCallersContextIsJudged(t *testing.T) {
	inBubble(t, "cancelled", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 1})
		call := presets.MustProtectFunc("x", p, func(ctx context.Context) error { <-ctx.Done(); return errDown })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_ = call(ctx)
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Ignored: 1})
	})
	inBubble(t, "out of time", func(t *testing.T) {
		p := noRetry(core.Config{FailureThreshold: 1})
		call := presets.MustProtectFunc("x", p, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = call(ctx)
		totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Failures: 1, Timeouts: 1})
	})
}

// A policy's own Classify has the last word.
func TestClassifyIsAskedAlone(t *testing.T) {
	p := noRetry(core.Config{FailureThreshold: 1, Classify: func(context.Context, error) core.Outcome { return core.Failure }})
	call := presets.MustProtectFunc("x", p, func(context.Context) error { return syscall.EMFILE })
	_ = call(t.Context())
	stateIs(t, breakerOf(t, p.Registry, "x"), core.Open)
}

// A real dial without a free descriptor, as a program meets it.
func TestARealDialFailureIsTold(t *testing.T) {
	dialer := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}}}
	p := noRetry(core.Config{FailureThreshold: 1})
	call := presets.MustProtectFunc("x", p, func(ctx context.Context) error {
		conn, err := dialer.DialContext(ctx, "tcp", "host.invalid:1")
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err := call(t.Context()); err == nil {
		t.Fatal("a dial without a resolver succeeds")
	}
	totalsAre(t, breakerOf(t, p.Registry, "x"), core.Totals{Calls: 1, Ignored: 1})
}
