package core_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/blackbox4/switchgear/core"
)

// hostileError is an error whose text panics.
type hostileError struct{}

func (*hostileError) Error() string { panic("no text") }

// A refusal tells the text of the error that opened the breaker, for as long as
// the breaker has not closed, and nothing of it is in the refusal's chain.
func TestARefusalTellsWhatOpened(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"an error", io.ErrUnexpectedEOF, "unexpected EOF"},
		{"a long one", errors.New(strings.Repeat("x", 1000)), strings.Repeat("x", 253) + "…"},
		{"256 bytes", errors.New(strings.Repeat("x", 256)), strings.Repeat("x", 256)},
		{"one that is cut within a letter", errors.New("x" + strings.Repeat("ä", 200)), "x" + strings.Repeat("ä", 126) + "…"},
		{"no UTF-8", errors.New("a\xffb"), "ab"},
		{"one that panics", &hostileError{}, "*core_test.hostileError, whose Error panicked"},
		{"a wait", core.RetryAfter(errSick, time.Second), errSick.Error()},
	} {
		bubble(t, row.name, func(t *testing.T) {
			b := newBreaker(t, core.Config{FailureThreshold: 1, Timeout: time.Minute, HalfOpenMaxCalls: 1})
			take(t, b).Done(bg, row.err)
			check := func(when string) {
				t.Helper()
				refused := refusal(t, b)
				if refused.Reason != row.want || len(refused.Reason) > 256 || !utf8.ValidString(refused.Reason) {
					t.Errorf("%s: Reason %q, want %q", when, refused.Reason, row.want)
				}
				if errors.Is(refused, row.err) || errors.Unwrap(refused) != nil || !errors.Is(refused, core.ErrOpen) {
					t.Errorf("%s: the refusal matches what opened", when)
				}
				if !strings.HasSuffix(refused.Error(), "; it opened on: "+row.want) {
					t.Errorf("%s: %q", when, refused.Error())
				}
			}
			check("open")
			time.Sleep(time.Minute)
			take(t, b)
			check("half-open, all probes out")
			time.Sleep(30 * time.Second)
			check("half-open, a probe lost")
		})
	}
}

func TestARefusalTellsTheLastOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, core.Config{})
		if got := refusalAfter(t, b, func() { take(t, b).Done(bg, io.EOF) }).Reason; got != "EOF" {
			t.Errorf("a probe failed: Reason %q, want EOF", got)
		}
		b.Reset()
		if got := refusalAfter(t, b, func() { take(t, b).Settle(bg, core.Failure) }).Reason; got != "" {
			t.Errorf("no error was told: Reason %q", got)
		}
		b.Reset()
		if got := refusalAfter(t, b, func() { take(t, b).Report(bg, core.Failure, io.ErrNoProgress) }).Reason; got != io.ErrNoProgress.Error() {
			t.Errorf("reported: Reason %q", got)
		}
		b.Reset()
		got := refusalAfter(t, b, func() {
			_ = b.Do(bg, func(context.Context) error { return io.ErrShortWrite })
		})
		if got.Reason != io.ErrShortWrite.Error() {
			t.Errorf("by Do: Reason %q", got.Reason)
		}
		// Reading a text may run the user's code; the breaker must be free then.
		b.Reset()
		take(t, b).Done(bg, &callingError{b})
		if got := refusal(t, b).Reason; got != "closed" {
			t.Errorf("an error that asks the breaker: Reason %q, want closed", got)
		}
	})
}

func refusalAfter(t *testing.T, b *core.Breaker, open func()) *core.OpenError {
	t.Helper()
	open()
	return refusal(t, b)
}

type callingError struct{ b *core.Breaker }

func (e *callingError) Error() string { s := e.b.Snapshot(); return s.State.String() }
